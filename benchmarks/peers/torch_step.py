"""Back-propagation by PyTorch, eager: the iterations of inference play no part."""

import itertools
from typing import Any

import torch
from _worker import batch, serve


def build(widths: list[int], iterations: int) -> Any:
    """ReLU layers, cross-entropy, Adam."""
    torch.manual_seed(0)
    x, y = (torch.from_numpy(a) for a in batch(widths))
    layers: list[Any] = []
    for m, n in itertools.pairwise(widths):
        layers += [torch.nn.Linear(m, n), torch.nn.ReLU()]
    network = torch.nn.Sequential(*layers[:-1])
    optimiser = torch.optim.Adam(network.parameters(), 1e-3)

    def step() -> None:
        optimiser.zero_grad(set_to_none=True)
        torch.nn.functional.cross_entropy(network(x), y).backward()
        optimiser.step()

    return step


if __name__ == "__main__":
    serve(build)
