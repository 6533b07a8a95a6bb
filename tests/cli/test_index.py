"""The demo's index and its choice of files, without a grid."""

from __future__ import annotations

import os
import pickle
from collections import Counter
from pathlib import Path

import pytest

from actorgrid.cli import corpus
from actorgrid.cli.corpus import EmptyCorpusError, collect
from actorgrid.cli.index import ShardIndex, count_phrase, index_files, shard_of, signature, similar

SHARDS = 3
TEXTS = ["The quick_fox is AT 42 x", "alpha beta gamma alpha", "beta, quick_fox; beta\n\nthe end", ""]


@pytest.fixture
def files(tmp_path: Path) -> list[tuple[int, str]]:
    for number, text in enumerate(TEXTS):
        (tmp_path / f"{number}.txt").write_text(text)
    return [(number, str(tmp_path / f"{number}.txt")) for number in range(len(TEXTS))]


def filled(batches: list[list[tuple[int, str]]], order: list[int]) -> list[ShardIndex]:
    shards = [ShardIndex() for _ in range(SHARDS)]
    for number in order:
        for shard, segment in zip(shards, index_files(batches[number], SHARDS).segments, strict=True):
            shard.add(number, segment)
    return shards


def test_every_word_is_found_in_its_files_as_often_as_it_is_there(files: list[tuple[int, str]]) -> None:
    shards = filled([files[:2], files[2:]], [0, 1])
    expected = {
        "the": {0: 1, 2: 1}, "quick_fox": {0: 1, 2: 1}, "alpha": {1: 2}, "beta": {1: 1, 2: 2}, "gamma": {1: 1},
        "end": {2: 1}, "nowhere": {}, "is": {}, "42": {},
    }  # fmt: skip
    assert {word: shards[shard_of(word, SHARDS)].lookup(word) for word in expected} == expected


def test_top_words_are_added_up_over_batches(files: list[tuple[int, str]]) -> None:
    shards = filled([files[:2], files[2:]], [0, 1])
    top = sorted((pair for shard in shards for pair in shard.top(5)), reverse=True)
    assert top[:4] == [(3, "beta"), (2, "the"), (2, "quick_fox"), (2, "alpha")]


def test_batch_that_comes_twice_counts_once(files: list[tuple[int, str]]) -> None:
    once, twice = filled([files], [0]), filled([files], [0, 0])
    assert [shard.summary() for shard in twice] == [shard.summary() for shard in once]
    assert twice[shard_of("beta", SHARDS)].lookup("beta") == {1: 1, 2: 2}


def test_summary_does_not_depend_on_the_order_of_batches_but_on_every_posting(files: list[tuple[int, str]]) -> None:
    batches = [files[:2], files[2:]]
    one, other = filled(batches, [0, 1]), filled(batches, [1, 0])
    assert [shard.summary() for shard in one] == [shard.summary() for shard in other]
    Path(files[2][1]).write_text(TEXTS[2] + " beta")
    changed = filled(batches, [0, 1])
    at = shard_of("beta", SHARDS)
    assert changed[at].summary()[:2] == one[at].summary()[:2]
    assert changed[at].summary()[2] != one[at].summary()[2]


def test_segments_survive_a_journey(files: list[tuple[int, str]]) -> None:
    batch = index_files(files, SHARDS)
    assert pickle.loads(pickle.dumps(batch, 5)) == batch


def test_file_that_went_away_is_an_empty_one(files: list[tuple[int, str]]) -> None:
    Path(files[1][1]).unlink()
    batch = index_files(files, SHARDS)
    assert set(batch.signatures) == {0, 1, 2, 3}
    assert batch.characters == len(TEXTS[0]) + len(TEXTS[2])


def test_phrase_may_be_set_apart_by_any_space(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("File descriptor, file\n   descriptor; file-descriptor")
    (tmp_path / "b").write_text("descriptor file")
    assert count_phrase([(0, str(tmp_path / "a")), (1, str(tmp_path / "b"))], "file descriptor") == {0: 2}


def test_similar_texts_have_similar_signatures() -> None:
    text = {f"word{number}" for number in range(100)}
    marks = {0: signature(text), 1: signature(text | {"more"}), 2: signature({"quite", "another", "text"})}
    assert similar(marks, 9) == [(0, 1)]


def test_files_without_words_are_not_similar() -> None:
    assert similar({0: signature([]), 1: signature([])}, 9) == []


# ------------------------------------------------------------------------------------------------------- the files


def test_batches_hold_every_file_once_and_are_about_equal(tmp_path: Path) -> None:
    for number in range(30):
        (tmp_path / f"{number}.md").write_bytes(b"x" * (100 + 10 * number))
    found = collect(tmp_path)
    batches = found.batches(4)
    assert Counter(file for batch in batches for file in batch) == Counter(enumerate(found.paths))
    sizes = [sum(found.sizes[number] for number, _ in batch) for batch in batches]
    assert max(sizes) - min(sizes) <= 400


def test_only_text_files_are_taken(tmp_path: Path) -> None:
    for name in ("a.py", "b.TXT", "c.png", ".git/d.py", "sub/e.rst", "empty.py"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("" if name == "empty.py" else "text")
    (tmp_path / "gone.py").symlink_to(tmp_path / "nothing")
    os.mkfifo(tmp_path / "pipe.py")
    assert [os.path.relpath(path, tmp_path) for path in collect(tmp_path).paths] == ["a.py", "b.TXT", "sub/e.rst"]


def test_large_folder_is_cut_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(5):
        (tmp_path / f"{number}.py").write_text("x" * 10)
    monkeypatch.setattr(corpus, "MOST", 35)
    found = collect(tmp_path)
    assert (len(found.paths), found.size, found.cut) == (3, 30, True)


def test_sample_has_the_size_asked_for(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("abc")
    (tmp_path / "b.py").write_text("defg")
    assert collect(tmp_path).sample(16) == b"abcdefgabcdefgab"
    assert collect(tmp_path).sample(2) == b"ab"


def test_nothing_to_read_is_said_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path, sentence in (
        (tmp_path / "no", "there is no folder {}"),
        (tmp_path / "file", "{} is not a folder"),
        (tmp_path, "there is no text file that can be read in {}"),
    ):
        with pytest.raises(EmptyCorpusError) as caught:
            collect(path)
        assert str(caught.value) == sentence.format(path)


def test_standard_library_is_always_there() -> None:
    assert len(collect(None).paths) > 100
