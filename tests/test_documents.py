"""What the documents say of the project holds: paths, packages, "only" sentences, numbering."""

from __future__ import annotations

import re
import subprocess
from datetime import date
from pathlib import Path

import pytest

from tests.support.modules import IMPORTS, MAY_USE, MODULES

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = ("ARCHITECTURE.md", "CONTRIBUTING.md", "README.md", "CHANGELOG.md", "DECISIONS.md",
             "docs/statistics.md")  # fmt: skip
ARCHITECTURE = (ROOT / "ARCHITECTURE.md").read_text("utf-8")
CODE = re.compile(r"`([^`\n]+)`")
ENDINGS = (".py", ".js", ".css", ".html", ".toml", ".md", ".webp")
ONLY = re.compile(r"^- Only (.+) (import|imports|use|uses) (.+)\.$", re.MULTILINE)


def _section(title: str) -> str:
    return ARCHITECTURE.split(f"## {title}\n")[1].split("\n## ")[0]


def _table(title: str) -> list[list[str]]:
    lines = [line for line in _section(title).splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split(" |")] for line in lines[2:]]


def _source(place: str) -> dict[str, Path]:
    """Return the modules of a package or module, named by its path."""
    package = place.removesuffix(".py").replace("/", ".")
    return {n: p for n, p in MODULES.items() if n == package or n.startswith(f"{package}.")}


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_path_that_is_named_exists(document):
    text = (ROOT / document).read_text("utf-8")
    linked = re.findall(r"\]\((?!http)([^)#]+)\)", text)
    named = [
        name for name in CODE.findall(text)
        if "/" in name and not set(" <…") & set(name)
        and (name.endswith(ENDINGS) or name.startswith(("engine/", "dashboard/", "tests/")))
    ]  # fmt: skip
    assert linked + named or document in ("CHANGELOG.md", "DECISIONS.md",
             "docs/statistics.md")  # fmt: skip
    assert not [name for name in named if not (ROOT / name).exists()]
    assert not [name for name in linked if not ((ROOT / document).parent / name).exists()]


def test_the_table_of_packages_is_that_of_the_imports():
    rows = {CODE.findall(row[0])[0]: row for row in _table("Packages")}
    assert not [place for place in rows if not (ROOT / place / "__init__.py").is_file()]
    for room, allowed in MAY_USE.items():
        said = {name.replace("/", ".") for name in CODE.findall(rows[room.replace(".", "/")][2])}
        assert said == allowed, room
    packages = [
        path.parent for top in ("engine", "dashboard") for path in (ROOT / top).rglob("__init__.py")
    ]
    names = {package.relative_to(ROOT).as_posix() for package in packages}
    within = {
        name for name in names
        if any(name.startswith(f"{place}/") for place in rows if place != "dashboard")
    }  # fmt: skip
    assert names - within - {"engine"} == rows.keys()


@pytest.mark.parametrize("row", _table("Packages"), ids=lambda row: row[0].strip("`"))
def test_the_modules_of_the_table_lie_in_their_package(row):
    package = ROOT / CODE.findall(row[0])[0]
    named = [name for name in CODE.findall(row[1]) if re.fullmatch("[a-z_]+", name)]
    there = {path.stem for path in package.rglob("*.py")}
    assert not set(named) - there


@pytest.mark.parametrize(("places", "verb", "things"), ONLY.findall(ARCHITECTURE))
def test_only_these_import_or_use_it(places, verb, things):
    allowed = {name for place in CODE.findall(places) for name in _source(place)}
    for place in CODE.findall(places):
        assert any(_has(name, verb, things) for name in _source(place)), f"{place} does not"
    assert not [name for name in MODULES if name not in allowed and _has(name, verb, things)]


def _has(module: str, verb: str, things: str) -> bool:
    if verb.startswith("import"):
        return any(
            name == thing or name.startswith(f"{thing}.")
            for name in IMPORTS[module] for thing in CODE.findall(things)
        )  # fmt: skip
    text = MODULES[module].read_text("utf-8")
    return any(thing in text for thing in CODE.findall(things))


def test_there_are_sentences_with_only():
    assert len(ONLY.findall(ARCHITECTURE)) == len(re.findall("^- Only ", ARCHITECTURE, re.M)) > 4


def test_the_files_of_a_run_are_named_in_the_engine():
    engine = "\n".join(
        path.read_text("utf-8") for name, path in MODULES.items() if name.startswith("engine")
    )
    named = re.findall(r"([a-z-]+)\.(json|jsonl|csv|parquet|safetensors)\b", _section("On disk"))
    assert len(named) > 12
    for stem, ending in named:
        parts = {stem, f"{stem}.{ending}"}
        built = ending == "parquet" and f'"{stem.partition("-")[2] or stem}"' in engine
        assert built or any(part in engine for part in parts), f"{stem}.{ending}"


def test_the_steps_of_a_fit_are_called_in_this_order():
    steps = [
        re.split(r"[.(]", CODE.findall(line)[0])[-1]
        for line in _section("A fit").splitlines() if re.match(r"\d\. ", line)
    ]  # fmt: skip
    assert steps == ["load_dataset", "create_run", "features", "train_head", "predict_split"]
    code = "".join(path.read_text("utf-8") for path in _source("engine/model").values())
    assert not [step for step in steps if f"{step}(" not in code]


def test_architecture_and_contributing_are_a_page_each():
    for document, most in (("ARCHITECTURE.md", 100), ("CONTRIBUTING.md", 60)):
        assert len((ROOT / document).read_text("utf-8").splitlines()) <= most


def test_decisions_are_numbered_and_dated():
    text = (ROOT / "DECISIONS.md").read_text("utf-8")
    headings = re.findall(r"^## (.*)$", text, re.MULTILINE)
    found = [re.fullmatch(r"(\d+)\. (.+) \((\d{4}-\d{2}-\d{2})\)", each) for each in headings]
    assert all(found), [h for h, match in zip(headings, found, strict=True) if not match]
    assert [int(match[1]) for match in found if match] == list(range(1, len(found) + 1))
    dates = [date.fromisoformat(match[3]) for match in found if match]
    assert dates == sorted(dates)
    said = [int(number) for number in re.findall(r"decision (\d+)", text)]
    assert not [number for number in said if not 1 <= number <= len(found)]


def test_make_lists_every_target():
    text = (ROOT / "Makefile").read_text("utf-8")
    targets = re.search(r"^\.PHONY: (.*)$", text, re.MULTILINE)
    listed = subprocess.run(
        ["make", "--no-print-directory", "help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )  # `make test` above this test would have make name its folder
    said = dict(line.split(maxsplit=1) for line in listed.stdout.splitlines())
    assert targets and list(said) == targets[1].split() and all(said.values())
