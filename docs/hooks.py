"""What mkdocs calls while it builds the site.

The README is the front page. Formulas become MathML here, so that pages need neither script nor
network.
"""

import html
import json
import re
from pathlib import Path
from typing import Any

from latex2mathml.converter import convert
from mkdocs.exceptions import PluginError

_ROOT = Path(__file__).parents[1]
_WHOLE = {"{{ README }}": "README.md", "{{ CHANGELOG }}": "CHANGELOG.md"}
_WHOLE["{{ CONTRIBUTING }}"] = "CONTRIBUTING.md"
_LINKS = {"docs/": "", "CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changelog.md"}
_FUZZING = Path(__file__).parent / "fuzzing.json"
_FORMULA = re.compile(
    r'<(span|div) class="arithmatex">\s*(?:\\\((?P<inline>.*?)\\\)|\\\[(?P<block>.*?)\\\])\s*</\1>',
    re.DOTALL,
)
_UNKNOWN = re.compile(r">(\\[A-Za-z]+)<")


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Put files of the root, their links seen from here, and counts where a page asks for them."""
    for mark, name in _WHOLE.items():
        if mark in markdown:
            text = (_ROOT / name).read_text(encoding="utf-8")
            for seen, here in _LINKS.items():
                text = text.replace(f"]({seen}", f"]({here}")
            markdown = markdown.replace(mark, text)
    return (
        markdown.replace("{{ FUZZING }}", _fuzzing()) if "{{ FUZZING }}" in markdown else markdown
    )


def _fuzzing() -> str:
    """A table of what ``fuzz.run`` wrote."""
    found = json.loads(_FUZZING.read_text(encoding="utf-8"))
    rows = [
        f"| {name} | {f['inputs']:,} | {f['seconds']} | {f['peak_mb']} |"
        for name, f in found.items()
    ]
    inputs, seconds = (sum(f[key] for f in found.values()) for key in ("inputs", "seconds"))
    rows.append(f"| all | {inputs:,} | {seconds} | |")
    return "\n".join(["| reader | inputs | seconds | peak, MB |", "|---|---|---|---|", *rows])


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
