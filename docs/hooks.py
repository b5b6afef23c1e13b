"""What mkdocs calls while it builds the site.

The README is the front page. Formulas become MathML here, so that pages need neither script nor
network.
"""

import html
import re
from pathlib import Path
from typing import Any

from latex2mathml.converter import convert
from mkdocs.exceptions import PluginError

_README = Path(__file__).parents[1] / "README.md"
_FORMULA = re.compile(
    r'<(span|div) class="arithmatex">\s*(?:\\\((?P<inline>.*?)\\\)|\\\[(?P<block>.*?)\\\])\s*</\1>',
    re.DOTALL,
)
_UNKNOWN = re.compile(r">(\\[A-Za-z]+)<")


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Put the README, its links seen from here, where a page asks for it."""
    readme = _README.read_text(encoding="utf-8")
    return markdown.replace("{{ README }}", readme.replace("](docs/", "]("))


def on_page_content(content: str, **_: Any) -> str:
    """Turn the formulas of a finished page into MathML."""
    return _FORMULA.sub(_mathml, content)


def _mathml(match: re.Match[str]) -> str:
    inline, block = match["inline"], match["block"]
    formula = html.unescape(inline if block is None else block).strip()
    formula = formula.replace(r"\arg", r"\mathrm{arg}\,")  # the converter does not know it
    mathml = convert(formula, display="inline" if block is None else "block")
    unknown = _UNKNOWN.findall(mathml)
    if unknown:
        raise PluginError(f"no MathML for {', '.join(unknown)} in the formula {formula}")
    return mathml
