"""Changes to files: any bytes, and such as keep a file's structure so that they get deeper."""

import copy
import json
import math
from collections.abc import Callable
from random import Random
from typing import Any

Mutation = Callable[[bytes, Random], bytes]

_NUMBERS = (0, 1, -1, 2, 3, 7, 63, 65, 2**31, 2**32, 2**62, 2**63, 10**30, -(2**63), 0.5, 1e308)
_ODD = (None, True, False, "", "x", "inf", [], {}, [[]], math.nan, math.inf, "@0", "input")
_DEEP = 2_000


def damaged(content: bytes, random: Random) -> bytes:
    """Some bytes replaced, taken away, doubled, or the end cut off."""
    raw = bytearray(content)
    for _ in range(random.randint(1, 4)):
        if not raw:
            return random.randbytes(random.randint(0, 64))
        place, length = random.randrange(len(raw)), random.randint(1, 8)
        match random.randrange(6):
            case 0:
                raw[place] = random.randrange(256)
            case 1:
                raw[place] ^= 1 << random.randrange(8)
            case 2:
                raw[place : place + length] = random.choice((b"\xff", b"\0")) * length
            case 3:
                del raw[place : place + length]
            case 4:
                raw[place:place] = raw[place : place + 8 * length]
            case 5 if random.random() < 0.2:
                del raw[place:]
    return bytes(raw)


def twisted(content: bytes, random: Random) -> bytes:
    """JSON in which some entries are replaced, removed or moved to another place."""
    try:
        tree = json.loads(content)
    except (ValueError, RecursionError):
        return damaged(content, random)
    if random.random() < 0.01:
        return content[:-1] + b"," + b"[" * _DEEP
    for _ in range(random.randint(1, 3)):
        tree = _twisted(tree, random)
    return json.dumps(tree).encode()


def _twisted(tree: Any, random: Random) -> Any:
    if not isinstance(tree, dict | list) or not tree or random.random() < 0.1:
        return _value(tree, random)
    places = list(tree) if isinstance(tree, dict) else range(len(tree))
    place = random.choice(list(places))
    draw = random.random()
    if draw < 0.7:
        tree[place] = _twisted(tree[place], random)
    elif draw < 0.8:
        del tree[place]
    elif draw < 0.9:
        tree[place] = copy.deepcopy(tree[random.choice(list(places))])
    elif isinstance(tree, list):
        tree.insert(place, copy.deepcopy(tree[place]))
    else:
        tree[random.choice(("x", "fields", "array", "number", "map"))] = copy.deepcopy(tree[place])
    return tree


def _value(old: Any, random: Random) -> Any:
    number = isinstance(old, int | float) and not isinstance(old, bool)
    if number and random.random() < 0.4:
        return old + random.choice((-1, 1, 2, 10))
    return copy.deepcopy(random.choice(_NUMBERS if random.random() < 0.5 else _ODD))


def retyped(content: bytes, random: Random) -> bytes:
    """TOML in which some lines have other values, are missing, doubled or no comments any more."""
    lines = content.decode(errors="replace").split("\n")
    for _ in range(random.randint(1, 3)):
        place = random.randrange(len(lines))
        key, sign, _ = lines[place].partition("=")
        draw = random.random()
        if draw < 0.5 and sign:
            lines[place] = f"{key}={random.choice(_TOML)}"
        elif draw < 0.7:
            lines[place] = lines[place].removeprefix("# ")
        elif draw < 0.8:
            lines.insert(place, random.choice(lines))
        elif draw < 0.9:
            del lines[place]
            lines = lines or [""]
        else:
            lines[place] = damaged(lines[place].encode(), random).decode(errors="replace")
    return "\n".join(lines).encode()


def rewired(content: bytes, random: Random) -> bytes:
    """An ONNX model with other operators, edges, attributes and shapes."""
    import onnx

    try:
        model = onnx.load_model_from_string(content)
    except Exception:  # no model any more
        return damaged(content, random)
    try:
        for _ in range(random.randint(1, 3)):
            _rewire(model.graph, random, onnx)
        raw = model.SerializeToString()
    except ValueError:  # names that are no text
        return damaged(content, random)
    return damaged(raw, random) if random.random() < 0.1 else raw


def _rewire(graph: Any, random: Random, onnx: Any) -> None:
    if not graph.node:
        return
    node = random.choice(graph.node)
    names = [name for other in graph.node for name in (*other.input, *other.output)]
    match random.randrange(7):
        case 0:
            node.op_type = random.choice(_OPERATORS)
        case 1 if node.input:
            node.input[random.randrange(len(node.input))] = random.choice(names)
        case 2:
            node.input.append(random.choice(names))
        case 3 if graph.initializer:
            tensor = random.choice(graph.initializer)
            if tensor.dims:
                tensor.dims[random.randrange(len(tensor.dims))] = _size(random)
        case 4 if node.attribute:
            attribute = random.choice(node.attribute)
            attribute.i, attribute.f = _size(random), random.choice((0.0, -1.0, math.nan, 1e30))
            if attribute.ints:
                attribute.ints[random.randrange(len(attribute.ints))] = _size(random)
        case 5:
            key, size = random.choice(_ATTRIBUTES), _size(random)
            value = random.choice((size, [size, size], [size] * 4, 0.5))
            node.attribute.append(onnx.helper.make_attribute(key, value))
        case 6:
            name = f"c{random.randrange(1000)}"
            values = [_size(random) for _ in range(random.randint(1, 4))]
            array = onnx.helper.make_tensor(name, onnx.TensorProto.INT64, [len(values)], values)
            graph.initializer.append(array)
            node.input.append(name)


def _size(random: Random) -> int:
    return random.choice((0, 1, 2, 3, 4, 5, 8, -1, -2, 64, 2**20, 2**31, 2**40, 2**62, -(2**63)))


_TOML = (
    *("0", "-1", "1", "3", "1e-3", "inf", "nan", "true", '""', '"x"', "[]", "[1]", "[0, -1]", "{}"),
    *('"relu"', '"lista"', '"cnn"', '"saga"', '"adam"', '"loss"', '{kind = "x"}', "[[1], [2]]"),
    *("1979-05-27", "100000000000000000000", "1e400", '"bfloat16"', '"inputs"', "{all = 1.0}"),
)
_OPERATORS = (
    *("Add", "AveragePool", "BatchNormalization", "Cast", "Clip", "Concat", "Constant", "Conv"),
    *("ConvTranspose", "Div", "Dropout", "Flatten", "Gather", "Gemm", "GlobalAveragePool"),
    *("Identity", "MatMul", "MaxPool", "Mul", "PRelu", "ReduceMean", "Relu", "Reshape", "Shape"),
    *("Shrink", "Slice", "Softmax", "Squeeze", "Sub", "Sum", "Tanh", "Transpose", "Unsqueeze"),
)
_ATTRIBUTES = (
    *("axis", "axes", "perm", "pads", "strides", "kernel_shape", "alpha", "start", "end", "to"),
    *("output_padding", "auto_pad", "group", "keepdims", "value_ints", "dilations", "allowzero"),
)
