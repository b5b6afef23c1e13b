"""Pages and files beside the code are what their scripts and formats say."""

import importlib.util
import json
import re
import sys
import tomllib
from types import ModuleType

import pytest
import yaml
from fuzz.readers import READERS

from tests.house.sources import ROOT


def script(name: str, monkeypatch: pytest.MonkeyPatch, folder: str = "docs") -> ModuleType:
    """A script of docs/ or packaging/."""
    monkeypatch.syspath_prepend(str(ROOT / folder))
    spec = importlib.util.spec_from_file_location(name, ROOT / folder / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, name, module)
    spec.loader.exec_module(module)
    return module


def test_the_table_of_methods_is_that_of_the_records(monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise: python docs/make_choosing.py."""
    written = (ROOT / "docs" / "choosing.md").read_text(encoding="utf-8")
    assert written == script("make_choosing", monkeypatch).page()


def test_the_diagrams_are_those_of_the_script(monkeypatch: pytest.MonkeyPatch) -> None:
    made = script("make_diagrams", monkeypatch)
    for name in ("chains", "penalty"):
        written = (ROOT / "docs" / "images" / f"lifting-{name}.svg").read_text(encoding="utf-8")
        assert written == getattr(made, name)()


def test_the_counts_of_fuzzing_are_of_readers_that_end_in_time() -> None:
    found = json.loads((ROOT / "docs" / "fuzzing.json").read_text(encoding="utf-8"))
    assert set(found) <= set(READERS)
    assert all(row["ended"] == "in time" and row["inputs"] > 0 for row in found.values())


def project() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def test_the_citation_file_has_what_the_schema_requires() -> None:
    """Citation File Format 1.2.0: the required keys, their types and the names of persons."""
    known = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert known["cff-version"] == "1.2.0"
    assert known["type"] in ("software", "dataset")
    assert known["message"] and known["title"]
    assert known["version"] == project()["version"]
    assert known["license"] == project()["license"]
    paper = known["preferred-citation"]
    assert paper["type"] and paper["title"] and isinstance(paper["year"], int)
    for authors in (known["authors"], paper["authors"]):
        assert authors
        for author in authors:
            person = {"family-names", "given-names", "orcid", "affiliation"}
            entity = {"name", "website", "orcid"}
            assert set(author) <= person or set(author) <= entity
    assert all(set(i) <= {"type", "value", "description"} for i in paper["identifiers"])


def test_every_extra_is_used_once_in_an_empty_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    checks = script("check_extras", monkeypatch, "packaging")
    assert set(checks.extras()) == set(checks.USES)


def test_the_changelog_keeps_its_form() -> None:
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    versions = re.findall(r"^## (.*)$", text, re.MULTILINE)
    assert versions[0] == "[Unreleased]"
    for version in versions[1:]:
        assert re.fullmatch(r"\[\d+\.\d+\.\d+\] - \d{4}-\d{2}-\d{2}", version)
    kinds = {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
    assert set(re.findall(r"^### (.*)$", text, re.MULTILINE)) <= kinds
