"""Predictive coding by FabricPC: its own training step on a chain of linear nodes."""

import itertools
from typing import Any

import jax
import optax
from _worker import batch, serve
from fabricpc.core.activations import ReLUActivation, SoftmaxActivation
from fabricpc.core.energy import CrossEntropyEnergy
from fabricpc.core.inference import InferenceSGD
from fabricpc.core.topology import Edge
from fabricpc.graph_assembly import TaskMap, graph
from fabricpc.graph_initialization import initialize_params
from fabricpc.nodes import Linear
from fabricpc.training import make_train_step


def build(widths: list[int], iterations: int) -> Any:
    """The program of `make_train_step`, with SGD on activations and Adam on weights."""
    first, *inner, last = widths
    nodes = [Linear(shape=(first,), name="input")]
    nodes += [
        Linear(shape=(n,), name=f"hidden{k}", activation=ReLUActivation())
        for k, n in enumerate(inner)
    ]
    output = {"activation": SoftmaxActivation(), "energy": CrossEntropyEnergy()}
    nodes.append(Linear(shape=(last,), name="output", **output))
    structure = graph(
        nodes=nodes,
        edges=[Edge(source=a, target=b.slot("in")) for a, b in itertools.pairwise(nodes)],
        task_map=TaskMap(x=nodes[0], y=nodes[-1]),
        inference=InferenceSGD(eta_infer=0.1, infer_steps=iterations),
    )
    x, y = batch(widths)
    data = {"x": jax.numpy.asarray(x), "y": jax.numpy.asarray(y)}
    optimiser, key = optax.adam(1e-3), jax.random.PRNGKey(0)
    params = initialize_params(structure, key)
    train = make_train_step(structure, optimiser, algorithm="pc")
    carry = [params, optimiser.init(params)]

    def step() -> None:
        carry[:] = train(*carry, data, key)[:2]
        jax.block_until_ready(carry)

    return step


if __name__ == "__main__":
    serve(build)
