"""The demo's index, without a grid."""

from __future__ import annotations

from pathlib import Path

from actorgrid.cli.index import ShardIndex, index_files, shard_of, signature, similar, words


def test_words_are_lower_case_and_long_enough() -> None:
    assert words("The quick_fox is AT 42 x") == ["the", "quick_fox"]


def test_every_word_goes_to_exactly_one_shard(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("alpha beta gamma alpha")
    parts, signatures, size = index_files([(7, str(tmp_path / "a"))], 3)
    found = {word: (shard, flat) for shard, part in enumerate(parts) for word, flat in part.items()}
    assert found["alpha"] == (shard_of("alpha", 3), [7, 2])
    assert sum(len(part) for part in parts) == 3
    assert set(signatures) == {7}
    assert size == 22


def test_batch_that_comes_twice_counts_once() -> None:
    index = ShardIndex()
    assert index.add(1, {"word": [3, 2]}) == 1
    before = index.fingerprint()
    assert index.add(1, {"word": [3, 2]}) == 1
    assert index.fingerprint() == before
    assert index.lookup("word") == {3: 2}


def test_fingerprint_does_not_depend_on_the_order_of_batches() -> None:
    one, other = ShardIndex(), ShardIndex()
    batches = {1: {"a": [1, 1], "b": [1, 4]}, 2: {"b": [2, 5]}}
    for number in (1, 2):
        one.add(number, batches[number])
    for number in (2, 1):
        other.add(number, batches[number])
    assert one.fingerprint() == other.fingerprint()
    assert one.top(1) == [(9, "b")]


def test_similar_texts_have_similar_signatures() -> None:
    text = {f"word{number}" for number in range(100)}
    marks = {0: signature(text), 1: signature(text | {"more"}), 2: signature({"quite", "another", "text"})}
    assert similar(marks, 9) == [(0, 1)]
