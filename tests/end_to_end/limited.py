"""Block descent in a process that may not have the memory of all activations."""

import resource
import sys

import numpy as np

import liftax

MORE = 300 * 10**6


def main(stream: int) -> None:
    """Three steps; everything is compiled for few samples before the limit is set."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(40_000, 8)).astype(np.float32)
    y = rng.integers(0, 4, len(x))
    network, method = liftax.mlp([8, 2048, 4]), liftax.BlockCoordinateDescent()

    def train(samples: int, stream: int | None) -> liftax.Result:
        data = (x[:samples], y[:samples])
        return liftax.fit(network, data, method, epochs=3, stream=stream, progress=False)

    train(1000, 1000 if stream else None)
    with open("/proc/self/status") as status:
        (used,) = [int(line.split()[1]) for line in status if line.startswith("VmData")]
    limit = 1024 * used + MORE
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    result = train(len(x), stream or None)
    print(f"{result.steps} steps, {len(x) * 2048 * 4 / 1e6} MB of activations", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]))
