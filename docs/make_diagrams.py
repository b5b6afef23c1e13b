"""Draws the diagrams of ``docs/lifting.md``: ``python docs/make_diagrams.py``.

SVG with colours that are seen on light and dark ground.
"""

from pathlib import Path

IMAGES = Path(__file__).parent / "images"
_BLUE, _RED, _GREY = "#3b7dd8", "#d9534f", "#8a8f98"
_LAYERS = ("x", "u₁", "u₂", "u₃", "y")


def _text(x: float, y: float, words: str, colour: str = _GREY, size: int = 14) -> str:
    return (
        f'<text x="{x}" y="{y}" fill="{colour}" font-size="{size}" text-anchor="middle" '
        f'font-family="sans-serif">{words}</text>'
    )


def _node(x: float, y: float, name: str, colour: str) -> str:
    circle = f'<circle cx="{x}" cy="{y}" r="21" fill="none" stroke="{colour}" stroke-width="2.5"/>'
    return circle + _text(x, y + 5, name, colour, 16)


def _arrow(a: tuple[float, float], b: tuple[float, float], colour: str, both: bool = False) -> str:
    (x1, y1), (x2, y2) = a, b
    start = f' marker-start="url(#{colour[1:]}b)"' if both else ""
    return (
        f'<line x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}" stroke="{colour}" stroke-width="2"'
        f' marker-end="url(#{colour[1:]})"{start}/>'
    )


def _page(width: int, height: int, title: str, parts: list[str]) -> str:
    markers = "".join(
        f'<marker id="{c[1:]}{end}" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" '
        f'markerHeight="7" orient="{turn}"><path d="M0 0L8 4L0 8z" fill="{c}"/></marker>'
        for c in (_BLUE, _RED, _GREY)
        for end, turn in (("", "auto"), ("b", "auto-start-reverse"))
    )
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img">'
    return f"{head}<title>{title}</title><defs>{markers}</defs>{''.join(parts)}</svg>\n"


def chains() -> str:
    """Back-propagation above, the lifted network below."""
    parts, xs = [], [70 + 130 * k for k in range(5)]
    parts.append(_text(330, 22, "back-propagation: one forward pass, one backward pass", _GREY, 15))
    for k, (x, name) in enumerate(zip(xs, _LAYERS, strict=True)):
        parts.append(_node(x, 75, "ŷ" if k == 4 else name, _GREY))
        if k < 4:
            parts.append(_arrow((x + 23, 70), (x + 107, 70), _BLUE))
            parts.append(_arrow((x + 107, 84), (x + 23, 84), _RED))
            parts.append(_text(x + 65, 60, f"σ(W{'₁₂₃₄'[k]}·)", _BLUE, 12))
            parts.append(_text(x + 65, 102, "σ′ · Wᵀ", _RED, 12))
    parts.append(_text(330, 150, "lifted: every activation is a variable of its own", _GREY, 15))
    for k, (x, name) in enumerate(zip(xs, _LAYERS, strict=True)):
        parts.append(_node(x, 205, name, _GREY if k in (0, 4) else _BLUE))
        if k < 4:
            parts.append(_arrow((x + 27, 205), (x + 103, 205), _RED, both=True))
            number = "₁₂₃₄"[k]
            words = f"B({_LAYERS[k + 1]}, W{number}{name})"
            parts.append(_text(x + 65, 196, words, _RED, 12))
    parts.append(
        _text(330, 252, "x and y are given; penalties pull neighbours together", _GREY, 13)
    )
    return _page(660, 268, "A network trained by back-propagation, and the same lifted", parts)


def penalty() -> str:
    """The Bregman penalty of ReLU as a function of u, for three pre-activations."""
    parts, left, bottom, scale = [], 45.0, 215.0, 62.0
    parts.append(_arrow((left, bottom), (left + 265, bottom), _GREY))
    parts.append(_arrow((left, bottom), (left, 25), _GREY))
    parts.append(_text(left + 255, bottom + 20, "u", _GREY))
    parts.append(_text(left + 52, 30, "penalty", _GREY, 13))
    for z, colour in ((-1.0, _RED), (1.0, _GREY), (2.5, _BLUE)):
        points = []
        for step in range(81):
            u = step / 20
            value = 0.5 * u * u + 0.5 * max(z, 0) ** 2 - u * z
            if value <= 2.9:
                points.append(f"{left + scale * u:.1f},{bottom - scale * value:.1f}")
        parts.append(
            f'<polyline points="{" ".join(points)}" fill="none" stroke="{colour}" '
            'stroke-width="2.5"/>'
        )
        place = left + scale * max(z, 0)
        parts.append(f'<circle cx="{place}" cy="{bottom}" r="4" fill="{colour}"/>')
    for words, colour in (("z = −1", _RED), ("z = 1", _GREY), ("z = 2.5", _BLUE)):
        line = {_RED: 40, _GREY: 60, _BLUE: 80}[colour]
        parts.append(_text(375, line, words, colour, 14))
    parts.append(_text(375, 110, "zero at u = σ(z),", _GREY, 12))
    parts.append(_text(375, 126, "convex, and steep where", _GREY, 12))
    parts.append(_text(375, 142, "ReLU has slope 0", _GREY, 12))
    return _page(470, 240, "The Bregman penalty of ReLU for three values of z", parts)


def main() -> None:
    """Both."""
    (IMAGES / "lifting-chains.svg").write_text(chains(), encoding="utf-8")
    (IMAGES / "lifting-penalty.svg").write_text(penalty(), encoding="utf-8")


if __name__ == "__main__":
    main()
