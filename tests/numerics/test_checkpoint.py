"""Checkpoints come back bit by bit, or not at all."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import safetensors
import safetensors.numpy

from liftax.training._checkpoint import latest_checkpoint, save_checkpoint
from liftax.training._model_file import as_params, load_model, save_model


class Pair(eqx.Module):
    weight: Any
    bias: Any


def tree() -> dict[str, Any]:
    """Every kind of leaf: special values, no axes, no entries, odd memory."""
    special = np.array([0.0, -0.0, np.nan, np.inf, -np.inf, 1e-45], np.float32)
    return {
        "f32": jnp.asarray(special),
        "f64": np.array([[np.pi, 5e-324]]),
        "f16": jnp.asarray([1.5, np.inf], jnp.float16),
        "bf16": (jnp.asarray(special, jnp.bfloat16), jnp.asarray(0.1, jnp.bfloat16)),
        "f8": jnp.asarray([0.5, 3.0], jnp.float8_e4m3fn),
        "ints": [np.arange(-2, 2, dtype=f"int{n}") for n in (8, 16, 32, 64)],
        "uints": [np.array([0, 2**n - 1], f"uint{n}") for n in (8, 16, 32, 64)],
        "bool": jnp.asarray(True),
        "module": Pair(np.arange(6.0).reshape(2, 3).T, None),
        "empty": jnp.zeros((0, 3)),
        "key": jax.random.key_data(jax.random.key(3)),
        "number": 0.1,
    }


def bits(leaf: Any) -> tuple[str, tuple[int, ...], bytes]:
    array = np.asarray(leaf)
    return array.dtype.name, array.shape, array.tobytes()


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_round_trip_is_bit_exact(tmp_path: Path) -> None:
    meta = {"rows": [{"loss": 0.1 + 0.2, "gap": float("nan")}], "n": np.int64(3), "ψ": None}
    save_checkpoint(tmp_path / "new" / "folder", 7, tree(), meta, "run a")
    found = latest_checkpoint(tmp_path / "new" / "folder", tree(), "run a")
    assert found is not None and found.step == 7
    assert jax.tree.structure(found.tree) == jax.tree.structure(tree())
    pairs = zip(jax.tree.leaves(found.tree), jax.tree.leaves(tree()), strict=True)
    assert all(bits(a) == bits(b) for a, b in pairs)
    assert all(leaf.flags.writeable for leaf in jax.tree.leaves(found.tree))
    assert found.meta["rows"][0]["loss"] == 0.1 + 0.2 and np.isnan(found.meta["rows"][0]["gap"])
    assert (found.meta["n"], found.meta["ψ"]) == (3, None)


def test_abstract_leaves_suffice_to_load(tmp_path: Path) -> None:
    state = {"a": jnp.ones(2), "b": jnp.zeros((), jnp.int32)}
    save_checkpoint(tmp_path, 1, state, {}, "")
    found = latest_checkpoint(tmp_path, jax.eval_shape(lambda: state), "")
    assert found is not None and found.tree["a"].tolist() == [1.0, 1.0]


def test_no_checkpoint_is_none(tmp_path: Path) -> None:
    (tmp_path / "step-x.safetensors").write_text("not ours")
    assert latest_checkpoint(tmp_path, {}, "") is None
    assert latest_checkpoint(tmp_path / "absent", {}, "") is None


def test_rotation_keeps_the_newest(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("kept")
    (tmp_path / ".step-00000001.safetensors.0a0b0c0d.tmp").write_text("of a killed process")
    for step in (1, 2, 30):
        save_checkpoint(tmp_path, step, {"a": np.ones(2)}, {}, "")
    assert files(tmp_path) == [
        "notes.txt",
        "step-00000002.safetensors",
        "step-00000030.safetensors",
    ]
    save_checkpoint(tmp_path, 10**8, {"a": np.ones(2)}, {}, "", keep=1)
    assert files(tmp_path) == ["notes.txt", "step-100000000.safetensors"]


def test_later_steps_of_a_replaced_run_do_not_survive(tmp_path: Path) -> None:
    for step in (100, 200, 3):
        save_checkpoint(tmp_path, step, {"a": np.full(1, step)}, {}, f"run {step > 3}")
    found = latest_checkpoint(tmp_path, {"a": np.zeros(1, int)}, "run False")
    assert found is not None and found.step == 3
    assert files(tmp_path) == ["step-00000003.safetensors"]


def cut(raw: bytes) -> bytes:
    return raw[: len(raw) // 2]


def flipped(raw: bytes) -> bytes:
    return raw[:-3] + bytes([raw[-3] ^ 1]) + raw[-2:]


def emptied(raw: bytes) -> bytes:
    return b""


DAMAGES = [(cut, "no complete"), (flipped, "checksum"), (emptied, "no complete")]


@pytest.mark.parametrize(("damage", "words"), DAMAGES)
def test_a_damaged_newest_file_goes_back_to_the_one_before(
    tmp_path: Path, damage: Callable[[bytes], bytes], words: str
) -> None:
    like = {"a": np.zeros(4)}
    for step in (1, 2):
        save_checkpoint(tmp_path, step, {"a": np.full(4, step, float)}, {}, "")
    newest = tmp_path / "step-00000002.safetensors"
    newest.write_bytes(damage(newest.read_bytes()))
    with pytest.warns(UserWarning, match=rf"damaged .* step 1: '.*00002\.safetensors': .*{words}"):
        found = latest_checkpoint(tmp_path, like, "")
    assert found is not None and found.step == 1 and found.tree["a"].tolist() == [1.0] * 4
    oldest = tmp_path / "step-00000001.safetensors"
    oldest.write_bytes(damage(oldest.read_bytes()))
    with pytest.raises(ValueError, match=rf"no valid .*00002\..*{words}.*; delete the folder, or"):
        latest_checkpoint(tmp_path, like, "")


def test_no_flipped_bit_is_believed(tmp_path: Path) -> None:
    """One bit of every byte: nothing but the saved state ever comes back."""
    like = {"a": np.arange(3, dtype=np.int32), "b": np.float32(2)}
    save_checkpoint(tmp_path, 5, like, {"x": 1}, "run")
    path = tmp_path / "step-00000005.safetensors"
    raw = path.read_bytes()
    for place in range(len(raw)):
        bit = 1 << place % 8
        path.write_bytes(raw[:place] + bytes([raw[place] ^ bit]) + raw[place + 1 :])
        try:
            found = latest_checkpoint(tmp_path, like, "run")
        except ValueError as error:
            assert "no valid checkpoint is left" in str(error) and "\n" not in str(error)
            continue
        assert found is not None and found.meta == {"x": 1}
        assert found.tree["a"].tolist() == [0, 1, 2] and found.tree["b"] == 2


def test_a_renamed_file_is_not_believed(tmp_path: Path) -> None:
    save_checkpoint(tmp_path, 1, {"a": np.ones(1)}, {}, "")
    (tmp_path / "step-00000001.safetensors").rename(tmp_path / "step-00000009.safetensors")
    with pytest.raises(ValueError, match="it holds step 1, not 9 as its name says; delete"):
        latest_checkpoint(tmp_path, {"a": np.ones(1)}, "")


def test_a_foreign_file_executes_nothing_and_is_refused(tmp_path: Path) -> None:
    foreign = tmp_path / "step-00000001.safetensors"
    foreign.write_bytes(safetensors.numpy.save({"a": np.ones(1)}))
    with pytest.raises(ValueError, match=r"no valid checkpoint .* checksum"):
        latest_checkpoint(tmp_path, {"a": np.ones(1)}, "")
    foreign.write_bytes(b"\x80\x04\x95cos\nsystem\n")
    with pytest.raises(ValueError, match=r"no valid checkpoint .* no complete safetensors file"):
        latest_checkpoint(tmp_path, {"a": np.ones(1)}, "")
    save_model(foreign, {"a": np.ones(1)})
    with pytest.raises(ValueError, match="its format is 'liftax model 1', not 'liftax checkpoint"):
        latest_checkpoint(tmp_path, {"a": np.ones(1)}, "")
    with pytest.raises(ValueError, match=r"^checkpoints: '.*' is a file; give a folder$"):
        latest_checkpoint(foreign, {}, "")


def test_another_run_is_refused_with_both_fingerprints(tmp_path: Path) -> None:
    save_checkpoint(tmp_path, 1, {"a": np.ones(1)}, {}, "seed 1")
    with pytest.raises(
        ValueError, match=r"of another run \(seed 1\) than this one \(seed 2\); use"
    ):
        latest_checkpoint(tmp_path, {"a": np.ones(1)}, "seed 2")


@pytest.mark.parametrize(
    ("like", "words"),
    [
        ({"a": np.ones(2)}, r"\['a'\] is float64\[3\] in it and float64\[2\] in this run; use"),
        ({"a": np.ones(3, int)}, r"\['a'\] is float64\[3\] in it and int64\[3\] in this run"),
        ({"b": np.ones(3)}, r"\['b'\] is missing in it and float64\[3\] in this run"),
        ({}, r"\['a'\] is float64\[3\] in it and missing in this run"),
    ],
)
def test_another_shape_is_refused(tmp_path: Path, like: Any, words: str) -> None:
    save_checkpoint(tmp_path, 1, {"a": np.ones(3)}, {}, "")
    with pytest.raises(ValueError, match=words):
        latest_checkpoint(tmp_path, like, "")


def test_what_cannot_be_stored_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"\['a'\] has dtype .*128, which a safetensors file cann"):
        save_checkpoint(tmp_path, 1, {"a": np.ones(1, np.complex128)}, {}, "")
    with pytest.raises(TypeError, match=r"meta holds <object .* of object, which JSON cannot hold"):
        save_checkpoint(tmp_path, 1, {}, {"a": object()}, "")
    assert files(tmp_path) == []


def test_models_have_readable_names(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    weight = jnp.asarray([[1.0, 2.0]], jnp.bfloat16)
    save_model(path, {"layer1": Pair(weight, np.zeros(2)), "mix": (np.int8(1),)}, {"seed": 3})
    arrays, meta = load_model(path)
    assert set(arrays) == {"layer1.weight", "layer1.bias", "mix.0"} and meta == {"seed": 3}
    assert bits(arrays["layer1.weight"]) == bits(weight)
    with safetensors.safe_open(path, "np") as other:  # any reader of the format sees the same
        assert json.loads(other.metadata()["meta"]) == {"seed": 3}
        assert other.get_tensor("layer1.bias").tolist() == [0.0, 0.0]
    assert files(tmp_path) == ["model.safetensors"]


def test_model_errors_name_path_and_cure(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    with pytest.raises(FileNotFoundError, match=r"^path: there is no file '.*'; check it$"):
        load_model(path)
    with pytest.raises(ValueError, match=r"params has two arrays called 'a\.b'; rename a node"):
        save_model(path, {"a.b": np.ones(1), "a": {"b": np.ones(1)}})
    save_model(path, np.ones(3))
    assert load_model(path)[0]["params"].tolist() == [1.0] * 3
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(
        ValueError, match=r"^path: '.*' is no valid model file: no complete .*anew$"
    ):
        load_model(path)
    with pytest.raises(ValueError, match=r"^path: '.*' is no valid model file: Is a directory; "):
        load_model(tmp_path)
    save_checkpoint(tmp_path, 1, {}, {}, "")
    with pytest.raises(ValueError, match="its format is 'liftax checkpoint 1', not 'liftax model"):
        load_model(tmp_path / "step-00000001.safetensors")


def test_arrays_of_a_file_take_the_structure_of_parameters(tmp_path: Path) -> None:
    params = {"a": {"weight": jnp.ones((2, 3))}, "b": (jnp.zeros(2), jnp.ones(1))}
    save_model(tmp_path / "m.safetensors", params)
    arrays, _ = load_model(tmp_path / "m.safetensors")
    found = as_params(arrays, jax.eval_shape(lambda: params))
    assert jax.tree.structure(found) == jax.tree.structure(params)
    assert jax.tree.all(jax.tree.map(lambda a, b: (a == b).all(), found, params))
    with pytest.raises(ValueError, match=r"arrays: b\.1 stand only in the file or only"):
        as_params(arrays, {"a": params["a"], "b": params["b"][:1]})
    with pytest.raises(ValueError, match=r"a\.weight has the shape \(2, 3\)"):
        as_params(arrays, {**params, "a": {"weight": jnp.ones((3, 2))}})
