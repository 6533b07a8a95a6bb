"""Batch inference: a pool of actors, each with the model loaded once, works through batches of any length."""

from __future__ import annotations

import numpy as np
import ray
from ray.util import ActorPool

BATCHES = 30


@ray.remote
class Predictor:
    def __init__(self, model: np.ndarray) -> None:
        self.model = model
        self.batches = 0

    def predict(self, batch: np.ndarray) -> np.ndarray:
        self.batches += 1
        return (batch @ self.model).argmax(axis=1)

    def worked(self) -> int:
        return self.batches


def main() -> None:
    ray.init(num_cpus=4)
    rng = np.random.default_rng(7)
    model = ray.put(rng.normal(size=(64, 10)))
    predictors = [Predictor.remote(model) for _ in range(3)]
    pool = ActorPool(predictors)
    batches = [rng.normal(size=(rng.integers(50, 150), 64)) for _ in range(BATCHES)]
    ordered = list(pool.map(lambda actor, batch: actor.predict.remote(batch), batches))
    assert [len(labels) for labels in ordered] == [len(batch) for batch in batches]
    anyhow = list(pool.map_unordered(lambda actor, batch: actor.predict.remote(batch), batches))
    assert sorted(map(len, anyhow)) == sorted(map(len, batches))
    counts = np.bincount(np.concatenate(ordered), minlength=10)
    assert sum(ray.get([predictor.worked.remote() for predictor in predictors])) == 2 * BATCHES
    print(f"{counts.sum()} rows in {BATCHES} batches, by label: {counts.tolist()}")


if __name__ == "__main__":
    main()
