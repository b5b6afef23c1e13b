"""From a file of outputs to a folder with the inputs: what is written, and what is refused."""

import json
import pickle
import re
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from liftax import _files
from liftax.affine import Convolution, Dense
from liftax.cli import main
from liftax.imaging import read_image, write_image
from liftax.importing import load_network, save_network
from liftax.inversion import (
    PrimalDual,
    Sum,
    Tikhonov,
    TotalVariation,
    WaveletL1,
    inversion_report,
    invert_file,
    l_curve,
    named_regulariser,
)
from liftax.inversion import _invert_file as module
from liftax.networks import chain
from tests.inversion.problems import layer

SHAPE, ALPHA = (8, 8, 1), 0.05
Case = tuple[Path, np.ndarray, np.ndarray, Any]


def run(*arguments: object) -> int:
    try:
        main(["invert", *(str(a) for a in arguments)])
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0


@pytest.fixture
def linear(tmp_path: Path) -> Case:
    """A dense layer without activation, in a file, with three inputs and their outputs."""
    network, params, _, _ = layer("identity", SHAPE, 80)
    save_network(tmp_path / "m.safetensors", network, params)
    x = np.random.default_rng(1).uniform(size=(3, *SHAPE))
    return tmp_path / "m.safetensors", x, np.asarray(network(params, jnp.asarray(x))), params["out"]


def minimisers(y: np.ndarray, params: Any, alpha: float) -> np.ndarray:
    """(WW' + αI) x = W (y - b)."""
    w, b = np.asarray(params["weight"]), np.asarray(params["bias"])
    return np.linalg.solve(w @ w.T + alpha * np.eye(len(w)), w @ (y - b).T).T.reshape(-1, *SHAPE)


def test_tikhonov_solves_its_linear_system(linear: Case, tmp_path: Path, capsys) -> None:
    model, x, y, params = linear
    np.save(tmp_path / "y.npy", y)
    np.save(tmp_path / "x.npy", x)
    out = tmp_path / "new" / "out"
    given = ("--model", model, "--data", tmp_path / "y.npy", "--out", out, "--alpha", ALPHA)
    more = ("--regulariser", "tikhonov", "--original", tmp_path / "x.npy", "--tolerance", 1e-10)
    assert run(*given, *more) == 0
    assert "3 of 3: the gap is below the tolerance" in capsys.readouterr().out
    expected, found = minimisers(y, params, ALPHA), np.load(out / "x.npy")
    np.testing.assert_allclose(found, expected, atol=1e-4)
    metrics = json.loads((out / "metrics.json").read_text())
    assert metrics["seconds_per_sample"] == pytest.approx(metrics["seconds"] / 3)
    for row, one, true in zip(metrics["samples"], found, x, strict=True):
        assert row["alpha"] == ALPHA
        assert 0 <= row["gap"] <= 1e-10 * row["energy"]
        assert row["psnr"] == pytest.approx(-10 * np.log10(np.mean((one - true) ** 2)))
        assert row["relative_error"] == pytest.approx(
            np.linalg.norm(one - true) / np.linalg.norm(true)
        )
        assert 0 < row["ssim"] <= 1
    for index, one in enumerate(found):
        picture = read_image(out / "pictures" / f"{index}.png")
        np.testing.assert_allclose(picture, np.clip(one, 0, 1), atol=0.5 / 255 + 1e-6)
    page = (out / "report.html").read_text()
    assert page.count("<img") >= 2
    assert not re.search(r'(src|href)="(?!data:|#)', page)
    assert {p.name for p in out.iterdir()} == {"x.npy", "metrics.json", "report.html", "pictures"}


def test_auto_meets_the_noise_level(linear: Case, tmp_path: Path) -> None:
    model, x, y, _ = linear
    noisy = y + 0.05 * np.random.default_rng(2).normal(size=y.shape)
    np.savez(tmp_path / "y.npz", noisy)
    done = invert_file(model, tmp_path / "y.npz", tmp_path / "out", "tv+box", noise=0.05)
    for row in done.metrics["samples"]:
        assert row["met"]
        assert row["residual"] == pytest.approx(0.05 * np.sqrt(80), rel=0.06)
        alphas, residuals = row["tried"]
        assert len(alphas) == len(residuals) >= 1
    page = (tmp_path / "out" / "report.html").read_text()
    assert "The search for α" in page
    tries = np.load(tmp_path / "out" / "tries.npy")
    assert tries.shape == (len(alphas), *x.shape)
    # The page made anew has the same slider, and the inputs found, the outputs of none.
    again = inversion_report(tmp_path / "out").body()
    assert again.count("row step") == page.count("row step") > 1
    assert np.mean((done.x - x) ** 2) < 0.5 * np.mean((x - x.mean()) ** 2)


def test_auto_without_a_noise_level_is_the_corner_and_says_so(
    linear: Case, tmp_path: Path, capsys
) -> None:
    model, _, y, _ = linear
    np.save(tmp_path / "y.npy", y + 0.05 * np.random.default_rng(2).normal(size=y.shape))
    given = ("--model", model, "--data", tmp_path / "y.npy", "--out", tmp_path / "out")
    assert run(*given, "--regulariser", "tikhonov", "--tolerance", 1e-4) == 0
    said = capsys.readouterr().out
    assert "no noise level is known: alpha is the corner" in said
    network, params = load_network(model)
    curve = l_curve(
        *(network, params, np.load(tmp_path / "y.npy"), Tikhonov(), np.logspace(-6, 2, 17)),
        solver=PrimalDual(tolerance=1e-4),
    )
    rows = json.loads((tmp_path / "out" / "metrics.json").read_text())["samples"]
    assert [row["alpha"] for row in rows] == pytest.approx(curve.alpha)
    sizes = np.linalg.norm(np.load(tmp_path / "y.npy").reshape(len(rows), -1), axis=1)
    relative = [row["residual"] / size for row, size in zip(rows, sizes, strict=True)]
    assert [row["relative_residual"] for row in rows] == pytest.approx(relative)
    assert f"alpha: {min(curve.alpha):.3g}" in said
    assert f"residual: {min(relative):.3g}" in said
    assert rows[0]["residuals"] == pytest.approx(curve.residuals[:, 0])
    assert np.load(tmp_path / "out" / "tries.npy") == pytest.approx(curve.inputs)
    page = (tmp_path / "out" / "report.html").read_text()
    assert "The L-curves" in page and "No noise level is known" in page


@pytest.mark.slow
def test_a_folder_of_pictures_and_a_deep_network(tmp_path: Path) -> None:
    """Two convolutions; the noise is estimated, parts of two give what all at once give."""
    network = chain((12, 12, 1), [(Convolution(2), "leaky_relu"), (Convolution(1), "sigmoid")])
    params = network.init(jax.random.key(0), jnp.float64)
    save_network(tmp_path / "m.safetensors", network, params)
    rng = np.random.default_rng(0)
    (tmp_path / "y").mkdir()
    for name in "abc":
        y = np.asarray(network(params, jax.device_put(rng.uniform(size=(1, 12, 12, 1)))))[0]
        write_image(tmp_path / "y" / f"{name}.png", y + 0.02 * rng.normal(size=y.shape))
    (tmp_path / "y" / "notes.txt").write_text("no picture")
    given = (tmp_path / "m.safetensors", tmp_path / "y")
    done = invert_file(*given, tmp_path / "out", "tv", budget=(20, 0.0))
    rows = done.metrics["samples"]
    assert [row["name"] for row in rows] == ["a.png", "b.png", "c.png"]
    assert all(np.isnan(row["gap"]) and row["iterations"] == 20 for row in rows)
    assert all(0 < row["noise"] < 0.2 * 12 for row in rows)


def test_parts_are_the_whole(linear: Case, tmp_path: Path, monkeypatch) -> None:
    """Parts of two, of which the last one is filled up."""
    model, _, y, params = linear
    np.save(tmp_path / "y.npy", y)
    monkeypatch.setattr(module, "_MOST_AT_ONCE", 2 * (64 + 80))
    assert [len(b) for b in module._batches(layer("identity", SHAPE, 80)[0], 3)] == [2, 2]
    done = invert_file(
        model, tmp_path / "y.npy", tmp_path / "out", "tikhonov", ALPHA, budget=(None, 1e-10)
    )
    np.testing.assert_allclose(done.x, minimisers(y, params, ALPHA), atol=1e-4)


def test_models_of_onnx_in_half_precision(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    weight = rng.normal(size=(4, 9)).astype(np.float16)
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        "graph",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT16, ("n", 4))],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT16, None)],
        [numpy_helper.from_array(weight, "w")],
    )
    path = tmp_path / "m.onnx"
    path.write_bytes(helper.make_model(graph, ir_version=8).SerializeToString())
    y = rng.normal(size=9)
    np.save(tmp_path / "y.npy", y)
    done = invert_file(path, tmp_path / "y.npy", tmp_path / "out", "tikhonov", "0.1")
    w = weight.astype(float)
    expected = np.linalg.solve(w @ w.T + 0.1 * np.eye(4), w @ y)
    np.testing.assert_allclose(done.x, [expected], atol=1e-3)
    assert not (tmp_path / "out" / "pictures").exists()  # an input of four numbers is none


class Malicious:
    def __init__(self, victim: Path):
        self.victim = victim

    def __reduce__(self):
        return Path.touch, (self.victim,)


def spoil(tmp_path: Path) -> dict[str, Path]:
    """Files that are no outputs, and models that cannot be inverted, by name."""
    y, victim = np.zeros((2, 80)), Malicious(tmp_path / "victim")
    files = {name: tmp_path / name for name in ("nan.npy", "short.npy", "object.npy", "cut.npy")}
    np.save(files["nan.npy"], np.where(np.arange(2)[:, None] == 1, np.nan, y))
    np.save(files["short.npy"], y[:, :7])
    np.save(files["object.npy"], np.array([victim], object), allow_pickle=True)
    np.save(files["cut.npy"], y)
    files["cut.npy"].write_bytes(files["cut.npy"].read_bytes()[:-9])
    huge = f"{{'descr': '<f8', 'fortran_order': False, 'shape': ({10**12}, 80), }}".ljust(117)
    contents = {
        "pickle.npy": pickle.dumps(victim),
        "old.npy": pickle.dumps(victim, 0),
        "empty.npy": b"",
        "text.png": b"no picture at all",
        "huge.npy": b"\x93NUMPY\x01\x00\x76\x00" + huge.encode() + b"\n",
        "m.pt": pickle.dumps(victim),
        "gelu.onnx": gelu(),
    }
    for name, content in contents.items():
        files[name] = tmp_path / name
        files[name].write_bytes(content)
    files["object.npz"] = tmp_path / "object.npz"
    np.savez(files["object.npz"], y=np.array([victim], object))
    files["two.npz"] = tmp_path / "two.npz"
    np.savez(files["two.npz"], y, y)
    write_image(tmp_path / "picture.png", np.zeros((9, 9, 3)))
    (tmp_path / "folder").mkdir()
    network = chain((64,), [(Dense(80), "relu")])
    save_network(tmp_path / "flat.safetensors", network, network.init(jax.random.key(0)))
    return files


def gelu() -> bytes:
    graph = helper.make_graph(
        [helper.make_node("Gelu", ["x"], ["y"], name="act")],
        "graph",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ("n", 4))],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
    )
    return helper.make_model(graph, ir_version=8).SerializeToString()


REFUSED: dict[str, dict[str, Any]] = {
    "data: .*nan.npy': example 1 has values that are not finite": {"data": "nan.npy"},
    "short.npy' has the shape .2, 7.; the network's are .80,.": {"data": "short.npy"},
    "object.npy' holds pickled objects, which can run code": {"data": "object.npy"},
    "object.npz' holds pickled objects, which can run code": {"data": "object.npz"},
    "cut.npy' is cut off": {"data": "cut.npy"},
    "pickle.npy' is a pickle, which can run code": {"data": "pickle.npy"},
    "old.npy is damaged or no image": {"data": "old.npy"},
    "empty.npy' is empty": {"data": "empty.npy"},
    "text.png is damaged or no image": {"data": "text.png"},
    "huge.npy' has more than 268435456 numbers": {"data": "huge.npy"},
    "two.npz' is a damaged npz file: it must hold one array": {"data": "two.npz"},
    "picture.png' is a picture of the shape .9, 9, 3.": {"data": "picture.png"},
    "folder' holds no images": {"data": "folder"},
    "data: there is no file": {"data": "absent.npy"},
    "m.pt' is a pickle, and a pickle can run code; export it to ONNX, or": {"model": "m.pt"},
    "act: Gelu cannot be lifted: its activation is not monotone": {"model": "gelu.onnx"},
    "path: there is no file": {"model": "absent.safetensors"},
    "regulariser: tv takes pictures": {"model": "flat.safetensors"},
    "ReLU never takes": {"model": "flat.safetensors", "regulariser": "l1", "data": "minus.npy"},
    "alpha must be a positive number or auto, got 0": {"alpha": "0"},
    "alpha must be a positive number or auto, got much": {"alpha": "much"},
    "alpha: box acts alike for every one": {"alpha": "auto", "regulariser": "box"},
    "regulariser: 'tikonov' is unknown; did you mean 'tikhonov'": {"regulariser": "l1+tikonov"},
    "PlugAndPlay has no values": {"alpha": "auto", "regulariser": "denoiser"},
    "PlugAndPlay has no values, only a prox": {
        "alpha": "auto", "regulariser": "denoiser", "model": "two.safetensors", "data": "two.npy",
    },
    "noise must be positive, got -1.0": {"alpha": "auto", "noise": -1},
    "original: .* has 1 inputs for 2 outputs": {"original": "one.npy"},
    "iterations must be positive, got 0": {"iterations": 0},
    "out: the folder .* holds other things, such as 'own.txt'": {"out": "used"},
    "out: .*y.npy' is a file": {"out": "y.npy"},
}  # fmt: skip


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with good and bad files."""
    folder = tmp_path_factory.mktemp("files")
    spoil(folder)
    network, params, _, _ = layer("identity", SHAPE, 80)
    save_network(folder / "m.safetensors", network, params)
    np.save(folder / "y.npy", np.zeros((2, 80)))
    np.save(folder / "minus.npy", -np.ones(80))
    np.save(folder / "one.npy", np.zeros(SHAPE))
    # Two channels of features: no picture, whose noise could be estimated.
    features = chain((6, 6, 1), [(Convolution(2), "identity")])
    save_network(folder / "two.safetensors", features, features.init(jax.random.key(0)))
    np.save(folder / "two.npy", np.random.default_rng(0).normal(size=(1, 6, 6, 2)))
    (folder / "used").mkdir()
    (folder / "used" / "own.txt").write_text("mine")
    return folder


@pytest.mark.parametrize("words", REFUSED)
def test_bad_input_is_one_line_and_nothing_is_written(words: str, files: Path, capsys) -> None:
    before = sorted(files.rglob("*"))
    good = {"model": "m.safetensors", "data": "y.npy", "out": "out", "alpha": "1"}
    given = {**good, **REFUSED[words]}
    paths = ("model", "data", "out", "original")
    flags = [(f"--{k}", files / str(v) if k in paths else v) for k, v in given.items()]
    # "--noise -1" would be read as two flags.
    assert run(*(f"{flag}={value}" for flag, value in flags)) == 2
    shown = capsys.readouterr().err
    assert re.search(words, shown)
    assert shown.startswith("liftax: ")
    assert shown.count("\n") == 1
    assert sorted(files.rglob("*")) == before
    assert (files / "used" / "own.txt").read_text() == "mine"


def test_a_failed_write_leaves_the_earlier_result(
    linear: Case, tmp_path: Path, monkeypatch
) -> None:
    model, _, y, _ = linear
    np.save(tmp_path / "y.npy", y[0])
    given = (model, tmp_path / "y.npy", tmp_path / "out", "tikhonov")
    invert_file(*given, 1.0)
    before = {p: p.read_bytes() for p in (tmp_path / "out").rglob("*") if p.is_file()}

    def full(path: Path, tree: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module, "write_json", full)
    with pytest.raises(OSError, match="No space left"):
        invert_file(*given, 2.0)
    assert {p: p.read_bytes() for p in (tmp_path / "out").rglob("*") if p.is_file()} == before
    assert {p.name for p in tmp_path.iterdir()} == {"m.safetensors", "y.npy", "out"}
    monkeypatch.setattr(module, "write_json", _files.write_json)
    invert_file(*given, 2.0)
    assert json.loads((tmp_path / "out" / "metrics.json").read_text())["alpha"] == 2.0
    assert {p.name for p in tmp_path.iterdir()} == {"m.safetensors", "y.npy", "out"}


def test_names_of_regularisers() -> None:
    """A sum has the terms of its members; wavelets have as many levels as the sides allow."""
    whole = named_regulariser("TV + box", SHAPE)
    assert isinstance(whole, Sum)
    assert [type(p).__name__ for p in whole.priors] == ["TotalVariation", "Box"]
    assert named_regulariser("tv-anisotropic", SHAPE) == TotalVariation(isotropic=False)
    assert named_regulariser("wavelet", (12, 8, 1)) == WaveletL1(levels=2)
    with pytest.raises(ValueError, match="wavelet needs even sides"):
        named_regulariser("wavelet", (7, 8, 1))
