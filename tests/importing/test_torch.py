"""Imported PyTorch modules against PyTorch."""

import subprocess
import sys
from pathlib import Path

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest
import torch  # pyright: ignore[reportMissingImports]
from torch import nn  # pyright: ignore[reportMissingImports]
from torch.nn import functional  # pyright: ignore[reportMissingImports]

import liftax
from liftax.importing import from_torch, load_network
from liftax.inversion import BlockDescent, Box, invert


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem, self.conv = nn.Conv2d(2, 4, 3, 2, 1), nn.Conv2d(4, 4, 3, padding=1)
        self.norm, self.end = nn.BatchNorm2d(4), nn.Linear(4, 3)
        self.pool = nn.AdaptiveAvgPool2d(1)

    def forward(self, x):
        x = torch.relu(self.stem(x))
        x = torch.relu(x + self.norm(self.conv(x)))
        return self.end(self.pool(x).view(x.size(0), -1))


ACTIVATIONS = [
    *(nn.ReLU(), nn.LeakyReLU(0.1), nn.Hardtanh(), nn.ReLU6(), nn.Hardsigmoid(), nn.Tanh()),
    *(nn.Sigmoid(), nn.Softplus(), nn.ELU(0.5), nn.Softsign(), nn.Softshrink(), nn.PReLU(init=0.3)),
    nn.Softmax(1),
]
CASES = {
    "activations": (
        lambda: nn.Sequential(*(m for a in ACTIVATIONS for m in (nn.Linear(4, 4), a))),
        (4,),
    ),
    "lenet": (
        lambda: nn.Sequential(
            nn.Conv2d(1, 3, 3, bias=False), nn.BatchNorm2d(3), nn.Tanh(), nn.AvgPool2d(2),
            nn.Flatten(), nn.Dropout(), nn.Linear(27, 5), nn.BatchNorm1d(5), nn.Softmax(1),
        ),
        (1, 8, 8),
    ),
    "maxima": (
        lambda: nn.Sequential(
            nn.Conv2d(1, 3, 3), nn.MaxPool2d(3, 2, 1), nn.ReLU(), nn.Conv2d(3, 2, 2), nn.Tanh(),
            nn.MaxPool2d(2), nn.Flatten(), nn.Linear(4, 3),
        ),
        (1, 8, 11),
    ),
    "resnet": (Block, (2, 6, 6)),
    "decoder": (
        lambda: nn.Sequential(
            nn.Linear(3, 18), nn.ReLU(), nn.Unflatten(1, (2, 3, 3)),
            nn.ConvTranspose2d(2, 3, 3, 2, 1, 1), nn.BatchNorm2d(3), nn.ReLU(),
            nn.Conv2d(3, 2, (3, 5), padding="same"), nn.Flatten(),
        ),
        (3,),
    ),
}  # fmt: skip


COUNTS = {"activations": 13, "lenet": 3, "maxima": 11, "resnet": 4, "decoder": 5}


@pytest.mark.parametrize("name", CASES)
def test_agrees_with_torch(name: str) -> None:
    build, shape = CASES[name]
    torch.manual_seed(0)
    module = build().double().eval()
    for layer in module.modules():
        if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
            assert layer.running_mean is not None and layer.running_var is not None
            layer.running_mean.normal_()
            layer.running_var.uniform_(0.5, 2.0)
            nn.init.normal_(layer.weight)
            nn.init.normal_(layer.bias)
    x = np.random.default_rng(0).normal(size=(5, *shape))
    network, params = from_torch(module, shape)
    expected = module(torch.tensor(x)).detach().numpy()
    given = jnp.asarray(np.moveaxis(x, 1, -1) if len(shape) == 3 else x)
    found = np.asarray(eqx.filter_jit(network)(params, given))
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-9)
    # Scales are folded, activations and terms of sums have no nodes of their own.
    assert len(network.nodes) == COUNTS[name]


ENCODER = """
import sys
import torch
from torch import nn

torch.manual_seed(0)
model = nn.Sequential(
    nn.Conv2d(1, 4, 3, 1, 1), nn.BatchNorm2d(4), nn.PReLU(4), nn.Flatten(), nn.Linear(256, 80),
)
back = nn.Linear(80, 64)
x = torch.rand(64, 1, 8, 8)
optimiser = torch.optim.Adam([*model.parameters(), *back.parameters()], 1e-2)
for _ in range(30):
    optimiser.zero_grad()
    ((back(model(x)) - x.flatten(1)) ** 2).mean().backward()
    optimiser.step()
torch.save(model.state_dict(), sys.argv[1])
"""


@pytest.mark.slow
def test_a_model_trained_elsewhere_is_imported_and_inverted(tmp_path: Path) -> None:
    """A script of its own trains it and leaves a state dict."""
    subprocess.run([sys.executable, "-c", ENCODER, tmp_path / "state.pt"], check=True)
    module = nn.Sequential(
        nn.Conv2d(1, 4, 3, 1, 1), nn.BatchNorm2d(4), nn.PReLU(4), nn.Flatten(), nn.Linear(256, 80)
    )
    module.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    module.eval()
    with pytest.raises(ValueError, match="is a pickle, and a pickle can run code"):
        load_network(tmp_path / "state.pt")
    network, params = from_torch(module, (1, 8, 8))
    x = np.random.default_rng(0).uniform(size=(2, 8, 8, 1)).astype(np.float32)
    expected = module(torch.tensor(x.transpose(0, 3, 1, 2))).detach().numpy()
    y = np.asarray(network(params, jnp.asarray(x)))
    assert y.dtype == np.float32
    np.testing.assert_allclose(y, expected, rtol=1e-5, atol=1e-5 * np.abs(expected).max())
    solver = BlockDescent(150, tolerance=0.0)
    found = invert(network, params, expected, Box(), 1.0, solver=solver)
    miss = np.linalg.norm(found.residual) / np.linalg.norm(expected)
    assert miss < 0.03
    assert np.linalg.norm(found.x - x) < 0.1 * np.linalg.norm(x)


@pytest.mark.parametrize(
    ("module", "shape", "words"),
    [
        (nn.GELU(), (4,), "GELU cannot be lifted: its activation is not monotone"),
        (nn.MaxPool2d(2, ceil_mode=True), (1, 4, 4), "MaxPool2d cannot be lifted: ceil_mode, ret"),
        (nn.AdaptiveMaxPool2d(2), (1, 4, 4), "of windows of a fixed size only; use MaxPool2d"),
        (nn.LayerNorm(4), (4,), "LayerNorm cannot be lifted: it divides by statistics"),
        (nn.Conv2d(2, 2, 3, groups=2), (2, 4, 4), "groups and dilation must be 1"),
        (nn.Linear(3, 2), (4,), r"a dense layer of 3 inputs follows the shape \(4,\)"),
        (nn.ReLU(), (10**9, 9), "more than"),
    ],
)
def test_refusals_are_named(module, shape: tuple[int, ...], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        from_torch(nn.Sequential(module), shape)


def test_a_data_loader_gives_batches() -> None:
    """Shuffled anew every epoch, with a last batch that is not full."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(50, 6)).astype(np.float32)
    y = np.argmax(x[:, :3], axis=1)
    given = torch.utils.data.TensorDataset(torch.tensor(x), torch.tensor(y))
    loader = torch.utils.data.DataLoader(given, batch_size=8, shuffle=True)
    method = liftax.ImplicitSGD(1.0, inner=2)
    result = liftax.fit(liftax.mlp([6, 3]), loader, method, epochs=20, progress=False)
    assert result.steps == 20 * 7
    assert np.mean(np.argmax(result.predict(x), axis=1) == y) > 0.9


class Functions(nn.Module):
    """The functions of `CALLS`, one after the other, behind linear layers."""

    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(4, 4) for _ in CALLS)
        self.stem, self.end = nn.Conv2d(1, 2, 3, padding=1), nn.Linear(8, 4)
        self.register_buffer("mean", torch.tensor([0.3, 0.4]).view(1, 2, 1, 1))

    def forward(self, x):
        x = self.stem((x - 0.5) / 0.3)
        x = functional.max_pool2d((1 - x) / self.mean + self.mean, 2)
        x = torch.flatten(functional.avg_pool2d(x, 2, stride=(1, 2)), 1)
        x = self.end(functional.dropout(x, 0.5, self.training))
        for layer, call in zip(self.layers, CALLS, strict=True):
            x = call(layer(x))
        return functional.softmax(-(0.5 * x), dim=-1)


CALLS = [
    lambda h: functional.leaky_relu(h, 0.2, True),
    lambda h: functional.elu(h, alpha=0.5),
    functional.softplus,
    lambda h: functional.hardtanh(h, -0.5, 0.7),
    functional.relu6,
    functional.softsign,
    lambda h: functional.softshrink(h, 0.1),
    functional.hardsigmoid,
]


def test_functions_are_the_modules_of_their_names() -> None:
    torch.manual_seed(0)
    module = Functions().double().eval()
    x = np.random.default_rng(0).normal(size=(3, 1, 6, 8))
    network, params = from_torch(module, (1, 6, 8))
    expected = module(torch.tensor(x)).detach().numpy()
    found = np.asarray(eqx.filter_jit(network)(params, jnp.asarray(np.moveaxis(x, 1, -1))))
    np.testing.assert_allclose(found, expected, rtol=1e-9)


class Wrapped(nn.Module):
    def __init__(self, call):
        super().__init__()
        self.call = call

    def forward(self, x):
        return self.call(x)


class Two(nn.Module):
    def forward(self, x, y):
        return x + y


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (functional.dropout, "it drops in evaluation too; pass training=self.training"),
        (lambda h: functional.softmax(h, 0), "Softmax cannot be lifted: along samples"),
        (lambda h: functional.softplus(h, beta=2), "beta must be 1, got 2"),
        (lambda h: h * h, "mul cannot be lifted: it is not affine"),
        (lambda h: 1 / h, "truediv cannot be lifted: it is not affine"),
        (lambda h: torch.add(h, h, alpha=2), "add cannot be lifted"),
        (lambda h: (h, h), "the module gives a tuple, and one tensor is known"),
        (
            lambda h: functional.batch_norm(h, torch.zeros(4), torch.ones(4)),
            "batch_norm cannot be lifted: its statistics come as arguments; use BatchNorm1d",
        ),
    ],
)
def test_refused_functions(call, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        from_torch(Wrapped(call), (4,))


@pytest.mark.parametrize(
    ("module", "shape", "words"),
    [
        ({"weight": torch.zeros(2)}, (4,), "module is a state dict, which holds weights only"),
        ("m.pt", (4,), r"module is the path 'm\.pt'; build the nn.Module"),
        (nn.ReLU, (4,), "module must be an nn.Module, got the class ReLU itself; call it"),
        (nn.ReLU(), 4, r"input_shape must be the shape of one example .* as \(64,\) .* got 4"),
        (nn.Sequential(nn.Flatten(2)), (2, 3, 4), "Flatten cannot be lifted"),
        (Two(), (4,), "y: the module takes several inputs"),
    ],
)
def test_what_is_no_module(module, shape, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        from_torch(module, shape)
