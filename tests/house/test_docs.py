"""The pages name everything public, and the Python in them runs."""

import re
from pathlib import Path

import jax
import pytest

import liftax
from tests.conftest import HAS_TORCH
from tests.helpers import quick
from tests.house.package import public_names, public_packages
from tests.house.sources import ROOT

DIRECTIVE = re.compile(r"^::: (\S+)", re.MULTILINE)
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
NOT_RUN = "<!-- not run -->\n"  # on the line above a block that is only to be read
# They train for long, or take what other tests take.
SLOW_PAGES = (
    *("extending", "estimators", "inverting", "loops", "restoring"),
    *("classifier", "denoiser", "potential", "processes", "sparse-autoencoder"),
    "torch-encoder",
)

_FOLDERS = (ROOT / "docs", ROOT / "docs" / "tutorials")
PAGES = {
    page.stem: page
    for page in [ROOT / "README.md", *(p for f in _FOLDERS for p in sorted(f.glob("*.md")))]
}
TUTORIALS = sorted(page.stem for page in _FOLDERS[1].glob("*.md"))
NEED_TORCH = () if HAS_TORCH else ("torch-encoder",)
PICTURE = re.compile(r"\]\(\.\./images/tutorial-(\S+?)\)")


def blocks(page: Path) -> list[tuple[int, str]]:
    """Python blocks of a page that are to be run, each with the line before its first."""
    text = page.read_text(encoding="utf-8")
    return [
        (text.count("\n", 0, match.start(1)), match[1])
        for match in BLOCK.finditer(text)
        if not text.endswith(NOT_RUN, 0, match.start())
    ]


def documented() -> list[str]:
    """Names that the API pages take from the source."""
    pages = (ROOT / "docs" / "api").glob("*.md")
    return [name for page in pages for name in DIRECTIVE.findall(page.read_text(encoding="utf-8"))]


def exported() -> set[str]:
    """Public names by the sub-package that exports them."""
    return {f"{p.__name__}.{name}" for p in public_packages() for name in public_names(p)}


def test_every_public_name_is_in_the_api_pages() -> None:
    missing = exported() - set(documented())
    assert not missing


def test_every_shortcut_is_in_the_api_pages() -> None:
    """What ``liftax`` itself exports is a sub-package, or documented there or on its own."""
    packages = {p.__name__ for p in public_packages()}
    known = {name.split(".")[-1] for name in exported()}
    own = {f"liftax.{name}" for name in public_names(liftax) if name not in known} - packages
    assert not own - set(documented())


def test_every_documented_name_is_public_and_stands_once() -> None:
    names = documented()
    own = {f"liftax.{name}" for name in public_names(liftax)}
    packages = {p.__name__ for p in public_packages()}
    assert not set(names) - exported() - own - packages
    assert len(names) == len(set(names))


RUN = [name for name in PAGES if name not in NEED_TORCH]


@pytest.mark.parametrize("name", quick(RUN, *(n for n in RUN if n not in SLOW_PAGES)))
def test_python_of_pages_runs(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All blocks of a page in one namespace, in an empty folder."""
    page = PAGES[name]
    monkeypatch.chdir(tmp_path)
    namespace: dict[str, object] = {"__name__": "__main__"}
    # As a user runs them: optax mixes dtypes, which strict promotion would refuse.
    with jax.numpy_dtype_promotion("standard"):
        for line, block in blocks(page):
            exec(compile("\n" * line + block, page, "exec"), namespace)
    # A tutorial ends in the picture that it shows; `python docs/make_tutorials.py` keeps it.
    pictures = PICTURE.findall(page.read_text(encoding="utf-8"))
    assert (len(pictures) == 1) == (name in TUTORIALS)
    for picture in pictures:
        assert (tmp_path / picture).stat().st_size > 1000
        assert (ROOT / "docs" / "images" / f"tutorial-{picture}").stat().st_size < 60_000
