"""Batch inference: a model is loaded once per actor, and batches go to whichever actor is idle."""

from __future__ import annotations

from collections.abc import Iterator

import actorgrid as ag
from actorgrid.util import ActorPool

BATCH = 250


class Model:
    """Says how many letters of a word come after "m". Loading the real thing would take a while."""

    def __init__(self, pivot: str) -> None:
        self.pivot = pivot

    def predict(self, words: list[str]) -> list[int]:
        return [sum(letter > self.pivot for letter in word) for word in words]


RemoteModel = ag.remote(Model)


def batches(words: list[str]) -> Iterator[list[str]]:
    for start in range(0, len(words), BATCH):
        yield words[start : start + BATCH]


def main() -> None:
    words = [f"{'spam' * (number % 3)}egg{number}" for number in range(1000)]
    with ag.init(num_cpus=2):
        pool: ActorPool = ActorPool([RemoteModel.remote("m") for _ in range(2)])
        scores: list[int] = []
        for scored in pool.map(lambda model, batch: model.predict.remote(batch), batches(words)):
            scores += scored
        print(f"{len(scores)} words scored, {sum(scores)} letters after m")


if __name__ == "__main__":
    main()
