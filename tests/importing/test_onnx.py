"""Imported ONNX files against onnxruntime."""

from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from liftax.importing import from_onnx, load_network

Arrays = dict[str, np.ndarray]


def written(
    path: Path,
    nodes: list[Any],
    arrays: Arrays,
    shape: tuple[Any, ...],
    opset: int = 17,
    kind: int = TensorProto.FLOAT,
) -> Path:
    """A model from "x" to "y" in a file."""
    graph = helper.make_graph(
        nodes,
        "graph",
        [helper.make_tensor_value_info("x", kind, ("n", *shape))],
        [helper.make_tensor_value_info("y", kind, None)],
        [numpy_helper.from_array(array, name) for name, array in arrays.items()],
    )
    opsets = [helper.make_opsetid("", opset), helper.make_opsetid("own", 1)]
    path.write_bytes(
        helper.make_model(graph, opset_imports=opsets, ir_version=8).SerializeToString()
    )
    return path


def node(kind: str, inputs: str, output: str, **attributes: Any) -> Any:
    return helper.make_node(kind, inputs.split(), [output], **attributes)


def normal(*shape: int) -> np.ndarray:
    return np.random.default_rng(sum(shape)).normal(size=shape).astype(np.float32)


ENDS: Arrays = {"low": np.float32(-0.5) * normal(1)[0] ** 2, "high": np.array(0.7, np.float32)}
ACTIVATIONS: list[tuple[str, dict[str, Any]]] = [
    *(("LeakyRelu", {"alpha": 0.2}), ("HardSigmoid", {"alpha": 0.25}), ("HardSigmoid", {})),
    *(("Elu", {"alpha": 0.5}), ("Clip", {}), ("Softplus", {}), ("Softsign", {}), ("Tanh", {})),
    *(("Sigmoid", {}), ("Relu", {}), ("LeakyRelu", {}), ("Elu", {})),
]


def activations() -> tuple[list[Any], Arrays, tuple[int, ...], int]:
    nodes, last = [], "x"
    for place, (kind, attributes) in enumerate(ACTIVATIONS):
        nodes.append(node("Mul", f"w{place % 2} {last}", f"z{place}"))
        extra = " low high" if kind == "Clip" else ""
        nodes.append(node(kind, f"z{place}{extra}", f"u{place}", **attributes))
        last = f"u{place}"
    arrays = {"w0": 3 * normal(6), "w1": -2 * normal(1, 6), **ENDS}
    return [*nodes, node("Identity", last, "y")], arrays, (6,), len(ACTIVATIONS)


CASES = {
    "activations": activations,
    "dense": lambda: (
        [
            node("Gemm", "x w b", "a", transB=1, alpha=0.5, beta=2.0),
            node("Relu", "a", "c"),
            node("MatMul", "c v", "d"),
            node("Add", "e d", "f"),
            node("Tanh", "f", "g"),
            node("Constant", "", "h", value=numpy_helper.from_array(normal(5, 4), "h")),
            node("Gemm", "g h", "i"),
            node("Sub", "e4 i", "j"),
            node("Softmax", "j", "y"),
        ],
        {"w": normal(4, 3), "b": normal(4), "v": normal(4, 5), "e": normal(5), "e4": normal(1, 4)},
        (3,),
        3,
    ),
    "lenet": lambda: (
        [
            node("Conv", "x k", "a", pads=[1, 0, 2, 1], strides=[2, 1]),
            node("BatchNormalization", "a s m m v", "b", epsilon=0.01),
            node("Relu", "b", "c"),
            node("AveragePool", "c", "d", kernel_shape=[2, 3], strides=[1, 2]),
            node("Conv", "d l m", "e", auto_pad="SAME_UPPER", strides=[1, 2]),
            node("GlobalAveragePool", "e", "f"),
            node("Flatten", "f", "g"),
            node("Gemm", "g w", "y"),
        ],
        {
            **{"k": normal(3, 2, 3, 2), "s": normal(3), "m": normal(3), "v": normal(3) ** 2 + 0.1},
            **{"l": normal(3, 3, 2, 4), "w": normal(3, 2)},
        },
        (2, 7, 8),
        5,
    ),
    "maxima": lambda: (
        [
            node("MaxPool", "x", "a", kernel_shape=[2, 2], strides=[2, 2]),
            node("Conv", "a k", "b"),
            node("MaxPool", "b", "c", kernel_shape=[3, 2], strides=[2, 1], pads=[1, 0, 0, 1]),
            node("MaxPool", "c", "d", kernel_shape=[1, 3], auto_pad="SAME_UPPER"),
            node("Flatten", "d", "y"),
        ],
        {"k": normal(2, 1, 2, 2)},
        (1, 9, 12),
        12,
    ),
    "resnet": lambda: (
        [
            node("Conv", "x k b", "a", kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
            node("Relu", "a", "c"),
            node("Conv", "c l", "d", auto_pad="SAME_LOWER"),
            node("Dropout", "d", "d2"),
            node("Add", "d2 c", "e"),
            node("Relu", "e", "f"),
            node("Concat", "c f", "g", axis=1),
            node("Mul", "g t", "h"),
            node("Transpose", "h", "i", perm=[0, 3, 1, 2]),
            node("Reshape", "i r", "j"),
            node("Transpose", "w", "w2"),
            node("Gemm", "j w2", "y", transB=1),
        ],
        {
            **{"k": normal(2, 1, 3, 3), "b": normal(2), "l": normal(2, 2, 2, 4)},
            **{"t": normal(1, 4, 1, 1), "r": np.array([0, -1]), "w": normal(48, 3)},
        },
        (1, 4, 3),
        5,
    ),
    "decoder": lambda: (
        [
            node("Gemm", "x w", "a"),
            node("Relu", "a", "b"),
            node("Reshape", "b r", "c"),
            node("ConvTranspose", "c k m", "d", strides=[2, 3], pads=[1, 0, 0, 1],
                 output_padding=[1, 0]),
            node("Sub", "d t", "e"),
            node("Softmax", "e", "y", axis=1),
        ],
        {
            **{"w": normal(3, 12), "r": np.array([-1, 2, 3, 2]), "k": normal(2, 3, 3, 4)},
            **{"m": normal(3), "t": normal(3, 1, 1)},
        },
        (3,),
        3,
    ),
    # What exporters write for x.view(x.shape[0], -1), x.mean((2, 3)) and x[:, None].
    "shapes": lambda: (
        [
            node("Conv", "x k", "a"),
            node("PRelu", "a s", "b"),
            node("Cast", "b", "b2", to=TensorProto.FLOAT),
            node("Shape", "b2", "h"),
            node("Gather", "h zero", "n"),
            node("Unsqueeze", "n ax", "n1"),
            node("Slice", "h one big", "rest"),
            node("Cast", "rest", "rest2", to=TensorProto.INT64),
            node("Concat", "n1 minus", "shape", axis=0),
            node("Reshape", "b2 shape", "flat"),
            node("Gemm", "flat w", "c"),
            node("PRelu", "c t", "d"),
            node("Unsqueeze", "d last", "d1"),
            node("Squeeze", "d1 last", "d2"),
            node("ReduceMean", "b2", "e", axes=[2, -1], keepdims=0),
            node("ReduceMean", "b2", "e1", axes=[-2, -1]),
            node("Squeeze", "e1 pair", "e2"),
            node("Add", "e e2", "f"),
            node("Gather", "weights zero", "v"),
            node("Gemm", "f v", "g"),
            node("Add", "g d2", "i"),
            node("Concat", "n1 rest2", "back", axis=0),
            node("Concat", "b2 b2", "twice", axis=1),
            node("Reshape", "b2 back", "b3"),
            node("GlobalAveragePool", "b3", "j"),
            node("Flatten", "j", "k2"),
            node("Gemm", "k2 v", "l"),
            node("Add", "i l", "y"),
        ],
        {
            **{"k": normal(3, 2, 2, 2), "s": np.array([0.5, 0.1, 1], np.float32).reshape(3, 1, 1)},
            **{"zero": np.array(0), "ax": np.array([0]), "minus": np.array([-1])},
            **{"one": np.array([1]), "big": np.array([2**62]), "last": np.array([2])},
            **{"w": normal(36, 4), "t": np.full(1, 0.25, np.float32), "pair": np.array([2, 3])},
            **{"weights": normal(2, 3, 4)},
        },
        (2, 4, 5),
        6,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_agrees_with_onnxruntime(name: str, tmp_path: Path) -> None:
    nodes, arrays, shape, count = CASES[name]()
    path = written(tmp_path / "a.onnx", nodes, arrays, shape)
    x = normal(5, *shape)
    (expected,) = onnxruntime.InferenceSession(path).run(None, {"x": x})
    network, params = load_network(path)
    given = jnp.asarray(np.moveaxis(x, 1, -1) if len(shape) == 3 else x)
    found = np.asarray(eqx.filter_jit(network)(params, given))  # slopes are arrays in it
    found = np.moveaxis(found, -1, 1) if found.ndim == 4 else found
    expected = np.asarray(expected)
    size = np.abs(expected).max()
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5 * size)
    assert len(network.nodes) == count  # scales are folded, activations join maps


@pytest.mark.parametrize(
    ("kind", "dtype", "size"),
    [(TensorProto.DOUBLE, np.float64, 1e-12), (TensorProto.FLOAT16, np.float16, 5e-3)],
)
def test_other_precisions(kind: int, dtype: Any, size: float, tmp_path: Path) -> None:
    """Weights in half precision become single ones, double ones stay."""
    nodes = [
        node("MatMul", "x w", "a"),
        node("Relu", "a", "b"),
        node("Cast", "b", "c", to=TensorProto.FLOAT),
        node("MatMul", "c v", "d"),
        node("Cast", "d", "y", to=kind),
    ]
    arrays = {"w": normal(3, 4).astype(dtype), "v": normal(4, 2)}
    if kind == TensorProto.DOUBLE:
        nodes, arrays = [node("Relu", "x", "b2"), node("MatMul", "b2 w", "y")], {"w": arrays["w"]}
    path = written(tmp_path / "a.onnx", nodes, arrays, (3,), kind=kind)
    x = normal(5, 3).astype(dtype)
    (expected,) = onnxruntime.InferenceSession(path).run(None, {"x": x})
    network, params = load_network(path)
    kinds = {leaf.dtype for leaf in jax.tree.leaves(params)}
    assert kinds == {np.dtype(np.float64 if kind == TensorProto.DOUBLE else np.float32)}
    found = jax.jit(network)(params, x.astype(next(iter(kinds))))
    np.testing.assert_allclose(found, np.asarray(expected), rtol=size, atol=size)


SQUARE: Arrays = {"w": normal(3, 3)}
KERNEL: Arrays = {"w": normal(2, 1, 3, 3)}
REFUSALS = [
    ("Gelu cannot be lifted: its activation is not mono", node("Gelu", "x", "y"), {}, (3,)),
    ("y: MaxPool cannot be lifted: dilations must be",
     node("MaxPool", "x", "y", kernel_shape=[2, 2], dilations=[2, 2]), {}, (1, 4, 4)),
    ("own.Relu cannot be lifted", node("Relu", "x", "y", domain="own"), {}, (3,)),
    ("y: Mul cannot be lifted: it is not affine", node("Mul", "x x", "y"), {}, (3,)),
    ("nothing before it gives its input 'w'", node("MatMul", "x w", "y"), {}, (3,)),
    ("group must be 1, got 2", node("Conv", "x w", "y", group=2), KERNEL, (2, 4, 4)),
    ("strides must be 2 integers", node("Conv", "x w", "y", strides=[1.5, 1.5]), KERNEL, (1, 4, 4)),
    ("a dense layer of 3 inputs follows", node("MatMul", "x w", "y"), SQUARE, (4,)),
    ("samples first and all other sizes fixed",
     node("Relu", "x", "y"), {}, ("h",)),
    ("more than", node("Relu", "x", "y"), {}, (2**20, 2**20)),
    ("does not keep the axis of samples",
     node("Reshape", "x w", "y"), {"w": np.array([2, -1])}, (4,)),
    ("slope must lie in", node("LeakyRelu", "x", "y", alpha=2.0), {}, (3,)),
    ("not one number a channel",
     node("Add", "x w", "y"), {"w": normal(4)}, (3, 4, 4)),
    ("they belong to another network", node("Conv", "x w b", "y"),
     {**KERNEL, "b": normal(3)}, (1, 4, 4)),
    ("floating-point numbers, got", node("MatMul", "x w", "y"), {"w": np.eye(3, dtype=int)}, (3,)),
    ("training_mode must be 0", node("BatchNormalization", "x w w w w", "y", training_mode=1),
     {"w": normal(3)}, (3,)),
    ("it moves the axis of samples", node("Unsqueeze", "x a", "y"), {"a": np.array([0])}, (3,)),
    ("are not of size 1", node("Squeeze", "x a", "y"), {"a": np.array([1])}, (3,)),
    ("are not those of an array", node("Squeeze", "x a", "y"), {"a": np.array([5])}, (3,)),
    (r"only of a picture's \(2, 3\)", node("ReduceMean", "x", "y", axes=[1]), {}, (3, 4, 4)),
    ("slopes outside", node("PRelu", "x w", "y"), {"w": np.full(3, -1, np.float32)}, (3,)),
    ("only to floating point numbers", node("Cast", "x", "y", to=TensorProto.INT64), {}, (3,)),
    ("its input 0 must be constant", node("Gather", "x a", "y"), {"a": np.array([0])}, (3,)),
    ("no node gives the output 'y'", node("Relu", "x", "z"), {}, (3,)),
]  # fmt: skip


@pytest.mark.parametrize(("words", "layer", "arrays", "shape"), REFUSALS)
def test_refusals_are_named(
    words: str, layer: Any, arrays: Arrays, shape: tuple[Any, ...], tmp_path: Path
) -> None:
    path = written(tmp_path / "a.onnx", [layer], arrays, shape)
    with pytest.raises(ValueError, match=rf"^path: [^\n]*({words})[^\n]*$"):
        from_onnx(path)


def test_weights_in_other_files_are_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "a.onnx", [node("MatMul", "x w", "y")], SQUARE, (3,))
    onnx.save_model(
        onnx.load(path), path, save_as_external_data=True, location="w.bin", size_threshold=0
    )
    with pytest.raises(ValueError, match="'w' lies in another file, which is not opened"):
        from_onnx(path)


def test_other_files_are_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "a.onnx", [node("MatMul", "x w", "y")], SQUARE, (3,), opset=6)
    with pytest.raises(ValueError, match=r"operator sets \[6\]"):
        from_onnx(path)
    path.write_bytes(b"")
    with pytest.raises(ValueError, match="is no ONNX file"):
        from_onnx(path)
    with pytest.raises(FileNotFoundError, match="there is no file"):
        from_onnx(tmp_path / "none.onnx")


@settings(
    deadline=None, max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.data())  # fmt: skip
def test_damaged_bytes_raise_value_errors_at_worst(tmp_path: Path, data) -> None:
    """Some bytes of a model changed, or it is cut off, or there is nothing else but such bytes."""
    nodes, arrays, shape, _ = CASES[data.draw(st.sampled_from(["dense", "shapes"]))]()
    raw = bytearray(written(tmp_path / "a.onnx", nodes, arrays, shape).read_bytes())
    # The weights are most of the bytes, and any will do there.
    places = st.integers(0, len(raw) - 1) | st.integers(0, min(len(raw) - 1, 400))
    for _ in range(data.draw(st.integers(0, 4))):
        raw[data.draw(places)] = data.draw(st.integers(0, 255))
    content = data.draw(
        st.sampled_from([bytes(raw), bytes(raw[: data.draw(places)])]) | st.binary(max_size=200)
    )
    path = tmp_path / "b.onnx"
    path.write_bytes(content)
    try:
        network, params = from_onnx(path)
    except ValueError as error:
        assert str(error).startswith("path: ") and "\n" not in str(error)
    else:
        assert jax.tree.structure(jax.eval_shape(network.init, jax.random.key(0))) == (
            jax.tree.structure(params)
        )
