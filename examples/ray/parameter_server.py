"""A parameter server: workers compute gradients of their part of the data, an actor keeps and updates the weights."""

from __future__ import annotations

import numpy as np
import ray

FEATURES = 8
ROUNDS = 60


@ray.remote
class ParameterServer:
    def __init__(self, rate: float) -> None:
        self.weights = np.zeros(FEATURES)
        self.rate = rate

    def apply(self, *gradients: np.ndarray) -> np.ndarray:
        self.weights -= self.rate * np.mean(gradients, axis=0)
        return self.weights

    def get_weights(self) -> np.ndarray:
        return self.weights


@ray.remote
class Worker:
    def __init__(self, seed: int, truth: np.ndarray) -> None:
        rng = np.random.default_rng(seed)
        self.inputs = rng.normal(size=(200, FEATURES))
        self.targets = self.inputs @ truth

    def gradient(self, weights: np.ndarray) -> np.ndarray:
        error = self.inputs @ weights - self.targets
        return self.inputs.T @ error / len(error)


def main() -> None:
    ray.init(num_cpus=4)
    truth = np.arange(FEATURES, dtype=float)
    shared = ray.put(truth)
    server = ParameterServer.remote(rate=0.3)
    workers = [Worker.remote(seed, shared) for seed in range(3)]
    weights = server.get_weights.remote()
    for _ in range(ROUNDS):
        weights = server.apply.remote(*[worker.gradient.remote(weights) for worker in workers])
    found = ray.get(weights)
    assert np.allclose(found, truth, atol=1e-3), found
    print("weights:", np.round(found, 2).tolist())


if __name__ == "__main__":
    main()
