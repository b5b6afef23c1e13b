"""Networks in files: what is written comes back, and nothing in a file is executed."""

import functools
import pickle
import tempfile
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import safetensors.numpy
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from liftax.affine import Dense
from liftax.importing import load_network, save_network
from liftax.networks import Network, Node, chain, ddfb, lenet, mlp, resnet, transformer
from liftax.potentials import FromActivation, SoftThreshold
from liftax.training import load_model, save_model
from liftax.training._tensors import decode, encode
from tests.exporting.networks import drawn, example

NETWORKS = {
    "mlp": lambda: mlp([3, 4, 2], "leaky_relu"),
    "array": lambda: chain(
        (3,), [(Dense(3), SoftThreshold(jnp.arange(3.0) / 7)), (Dense(2), "clip")]
    ),
    "resnet": lambda: resnet(3, 4, 1, 2, tied=True),
    "ddfb": lambda: ddfb((4, 4, 1), 2, 2),
    "transformer": lambda: transformer((4, 4, 1), 4, 1, 2, heads=2, patch=2),
    "lenet": lambda: lenet((16, 16, 1)),
}  # fmt: skip


@pytest.mark.parametrize("name", NETWORKS)
def test_round_trip(name: str, tmp_path: Path) -> None:
    network = NETWORKS[name]()
    params, x = drawn(network), example(network)
    save_network(tmp_path / "a.safetensors", network, params)
    other, loaded = load_network(tmp_path / "a.safetensors")
    found, expected = (eqx.filter_jit(n)(p, x) for n, p in ((other, loaded), (network, params)))
    np.testing.assert_array_equal(found, expected)
    assert jax.tree.structure(other) == jax.tree.structure(network)
    assert [n.tied_to for n in other.nodes] == [n.tied_to for n in network.nodes]


class Malicious:
    def __init__(self, victim: Path):
        self.victim = victim

    def __reduce__(self):
        return Path.touch, (self.victim,)


@pytest.mark.parametrize("name", ["a.pt", "a.PTH", "a.bin", "a.safetensors"])
@pytest.mark.parametrize("protocol", [2, 4])
def test_pickles_are_not_opened(name: str, protocol: int, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    (tmp_path / name).write_bytes(pickle.dumps(Malicious(victim), protocol))
    with pytest.raises(ValueError, match="a pickle can run code; export it to ONNX, or import"):
        load_network(tmp_path / name)
    assert not victim.exists()
    pickle.loads((tmp_path / name).read_bytes())
    assert victim.exists()  # it would have


@functools.cache
def whole() -> bytes:
    """A file that is not spoilt."""
    network = NETWORKS["mlp"]()
    with tempfile.TemporaryDirectory() as folder:
        save_network(Path(folder) / "a.safetensors", network, drawn(network))
        return (Path(folder) / "a.safetensors").read_bytes()


def spoilt(tmp_path: Path, change) -> Path:
    """A file whose description was changed and sealed anew."""
    path = tmp_path / "b.safetensors"
    path.write_bytes(whole())
    arrays, notes = load_model(path)
    change(notes["network"])
    save_model(path, arrays, notes)
    return path


def first(description: dict[str, Any]) -> dict[str, Any]:
    return description["nodes"][0]


CHANGES = {
    "the map 'os.system' is unknown": lambda d: first(d)["affine"].update(map="os.system"),
    "the potential 'Dense' is unknown": lambda d: first(d)["potential"].update(potential="Dense"),
    "Dense.features cannot be": lambda d: first(d)["affine"]["fields"].update(features="4"),
    "Dense.use_bias cannot be": lambda d: first(d)["affine"]["fields"].update(use_bias=1),
    "Dense.gain cannot be": lambda d: first(d)["affine"]["fields"].update(gain=True),
    "input_shape cannot be": lambda d: d.update(input_shape=[True]),
    "out of range|out of bounds": lambda d: first(d).update(
        potential={"potential": "GroupSoftThreshold", "fields": {"threshold": 1.0, "axis": 7}}
    ),
    "Dense has the fields": lambda d: first(d)["affine"]["fields"].update(code="exit()"),
    "affine cannot be": lambda d: first(d).update(affine=first(d)["potential"]),
    "no earlier node": lambda d: first(d).update(parents=["nobody"]),
    "the network's is": lambda d: first(d)["affine"]["fields"].update(features=7),
    "has more than": lambda d: d.update(input_shape=[10**9, 10**9]),
    "has input_shape and nodes": lambda d: d.clear(),
    "which say nothing": lambda d: first(d).update(affine={"array": "@7"}),
    "slope must lie in": lambda d: first(d)["potential"]["fields"].update(slope={"number": "nan"}),
}


@pytest.mark.parametrize("words", CHANGES)
def test_descriptions_are_checked(words: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=f"^[^\n]*({words})[^\n]*; write it with save_network$"):
        load_network(spoilt(tmp_path, CHANGES[words]))


def test_notes_that_are_no_json(tmp_path: Path) -> None:
    path = spoilt(tmp_path, lambda d: None)
    arrays, texts = decode(path.read_bytes())
    for notes in ("[" * 100_000, "{"):
        path.write_bytes(encode(arrays, {**texts, "meta": notes}))
        with pytest.raises(ValueError, match="its notes are no JSON; save the model anew"):
            load_network(path)


def test_a_state_dict_is_no_damaged_file(tmp_path: Path) -> None:
    path = tmp_path / "state.safetensors"
    safetensors.numpy.save_file({"0.weight": np.zeros((2, 3), np.float32)}, path)
    with pytest.raises(ValueError, match=r"not written by liftax .*from_torch$"):
        load_network(path)


def test_other_files_are_refused(tmp_path: Path) -> None:
    path = spoilt(tmp_path, lambda d: None)
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(ValueError, match="no complete safetensors file"):
        load_network(path)
    save_model(path, {"weight": np.ones(2)})
    with pytest.raises(ValueError, match="weights without a network; write it with save_network"):
        load_network(path)
    with pytest.raises(FileNotFoundError, match="there is no file"):
        load_network(tmp_path / "none.safetensors")


def test_what_cannot_be_saved(tmp_path: Path) -> None:
    network = chain((2,), [(Dense(2), FromActivation(jnp.tanh)), (Dense(2), "identity")])
    with pytest.raises(ValueError, match="FromActivation of node 'layer1' is none of"):
        save_network(tmp_path / "c", network, network.init(jax.random.key(0)))
    other = mlp([3, 5, 2]).init(jax.random.key(0))
    for params in ({}, other):
        with pytest.raises(ValueError, match="they belong to another network"):
            save_network(tmp_path / "c", NETWORKS["mlp"](), params)
    strange = Network((Node("@1", Dense(2), "relu", "input"),), (2,))
    with pytest.raises(ValueError, match="no node's name may begin with '@'; rename it"):
        save_network(tmp_path / "c", strange, strange.init(jax.random.key(0)))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 2**70) | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=5,
)


@settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.data())  # fmt: skip
def test_made_up_descriptions_raise_value_errors_at_worst(tmp_path: Path, data) -> None:
    """Any entry of the description replaced by anything."""

    def change(node: Any) -> None:
        keys = list(node) if isinstance(node, dict) else list(range(len(node)))
        key = data.draw(st.sampled_from(keys))
        if isinstance(node[key], dict | list) and node[key] and data.draw(st.booleans()):
            change(node[key])
        else:
            node[key] = data.draw(JSON)

    path = spoilt(tmp_path, change)
    try:
        network, params = load_network(path)
    except ValueError as error:
        assert "\n" not in str(error) and "save_network" in str(error)
    else:
        assert jax.tree.structure(jax.eval_shape(network.init, jax.random.key(0))) == (
            jax.tree.structure(params)
        )


@settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.data())  # fmt: skip
def test_damaged_bytes_are_refused(tmp_path: Path, data) -> None:
    raw = bytearray(spoilt(tmp_path, lambda d: None).read_bytes())
    place = data.draw(st.integers(0, len(raw) - 1))
    raw[place] ^= data.draw(st.integers(1, 255))
    (tmp_path / "d").write_bytes(raw[: data.draw(st.integers(place + 1, len(raw)))])
    with pytest.raises(ValueError, match=r"^path: [^\n]*$"):
        load_network(tmp_path / "d")
