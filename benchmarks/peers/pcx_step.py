"""Predictive coding by PCX: forward pass, steps on the activations, one step on the weights."""

import itertools
from typing import Any

import jax
import optax
import pcx.functional as pxf
import pcx.nn as pxnn
import pcx.predictive_coding as pxc
import pcx.utils as pxu
from _worker import batch, serve


class Perceptron(pxc.EnergyModule):
    """ReLU layers with squared errors, the output with cross-entropy."""

    def __init__(self, widths: list[int]):
        super().__init__()
        self.layers = [pxnn.Linear(m, n) for m, n in itertools.pairwise(widths)]
        self.vodes = [pxc.Vode() for _ in self.layers[:-1]] + [pxc.Vode(pxc.ce_energy)]
        self.vodes[-1].h.frozen = True

    def __call__(self, x: Any, y: Any) -> Any:
        for vode, layer in zip(self.vodes[:-1], self.layers[:-1], strict=True):
            x = vode(jax.nn.relu(layer(x)))
        self.vodes[-1](self.layers[-1](x))
        if y is not None:
            self.vodes[-1].set("h", y)
        return self.vodes[-1].get("u")


def build(widths: list[int], iterations: int) -> Any:
    """As PCX's examples do: one program a mini-batch, SGD on activations, Adam on weights."""
    model = Perceptron(widths)
    x, y = (jax.numpy.asarray(a) for a in batch(widths))
    values = pxu.M(pxc.VodeParam | pxc.VodeParam.Cache).to((None, 0))

    @pxf.vmap(values, in_axes=(0, 0), out_axes=0)
    def forward(x: Any, y: Any, *, model: Any) -> Any:
        return model(x, y)

    @pxf.vmap(values, in_axes=(0,), out_axes=(None, 0), axis_name="batch")
    def energy(x: Any, *, model: Any) -> Any:
        y = model(x, None)
        return jax.lax.psum(model.energy(), "batch"), y

    of_values = pxu.M_hasnot(pxc.VodeParam, frozen=True).to([False, True])
    of_weights = pxu.M(pxnn.LayerParam).to([False, True])

    @pxf.jit()
    def train(x: Any, y: Any, *, model: Any, optim_w: Any, optim_h: Any) -> Any:
        model.train()
        with pxu.step(model, pxc.STATUS.INIT, clear_params=pxc.VodeParam.Cache):
            forward(x, y, model=model)
        optim_h.init(pxu.M_hasnot(pxc.VodeParam, frozen=True)(model))
        for _ in range(iterations):
            with pxu.step(model, clear_params=pxc.VodeParam.Cache):
                _, g = pxf.value_and_grad(of_values, has_aux=True)(energy)(x, model=model)
            optim_h.step(model, g["model"])
        optim_h.clear()
        with pxu.step(model, clear_params=pxc.VodeParam.Cache):
            _, g = pxf.value_and_grad(of_weights, has_aux=True)(energy)(x, model=model)
        optim_w.step(model, g["model"], scale_by=1 / len(x))

    with pxu.step(model, pxc.STATUS.INIT, clear_params=pxc.VodeParam.Cache):
        forward(jax.numpy.zeros_like(x), None, model=model)
    optim_w = pxu.Optim(lambda: optax.adam(1e-3), pxu.M(pxnn.LayerParam)(model))
    optim_h = pxu.Optim(lambda: optax.sgd(0.1))

    def step() -> None:
        train(x, y, model=model, optim_w=optim_w, optim_h=optim_h)
        model.layers[0].nn.weight.get().block_until_ready()

    return step


if __name__ == "__main__":
    serve(build)
