"""Rules of the house that no linter knows."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("telemetry", "collector", "analysis", "dashboards", "sample_services", "davylamp")
FUNCTION_MAX_LINES = 70
MODULE_MAX_LINES = 450


def tracked(*suffixes: str) -> list[Path]:
    """Files git knows or would add, so that a forgotten one is checked too."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split("\n")
    return [ROOT / name for name in listed if name.endswith(suffixes) and (ROOT / name).is_file()]


def sources() -> list[Path]:
    return [path for path in tracked(".py") if path.relative_to(ROOT).parts[0] in PACKAGES]


def trees() -> Iterator[tuple[Path, ast.Module]]:
    for path in sources():
        yield path.relative_to(ROOT), ast.parse(path.read_text(encoding="utf-8"))


def functions(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def span(node: ast.stmt) -> int:
    return node.end_lineno - node.lineno + 1


def test_functions_fit_on_a_screen():
    """A function is at most 70 lines long, its docstring and inner functions not counted."""
    too_long = []
    for path, tree in trees():
        for node in functions(tree):
            first = node.body[0]
            has_docstring = ast.get_docstring(node) is not None
            others = [first] if has_docstring else []
            others += [inner for inner in node.body if isinstance(inner, ast.AsyncFunctionDef)]
            length = span(node) - sum(map(span, others))
            if length > FUNCTION_MAX_LINES:
                too_long.append(f"{path}:{node.lineno} {node.name} has {length} lines")
    assert too_long == []


def test_modules_hold_one_idea():
    """A module is at most 450 lines long."""
    assert [
        str(path.relative_to(ROOT))
        for path in sources()
        if len(path.read_text(encoding="utf-8").splitlines()) > MODULE_MAX_LINES
    ] == []


def public_without_docstring(path: Path, tree: ast.Module) -> Iterator[str]:
    if ast.get_docstring(tree) is None and tree.body:
        yield f"{path}: the module"
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            if node.name.startswith("_") or ast.get_docstring(node) is not None:
                continue
            yield f"{path}:{node.lineno} {node.name}"


def test_everything_public_is_explained():
    """Modules, public classes and public functions have a docstring."""
    missing = [line for path, tree in trees() for line in public_without_docstring(path, tree)]
    assert missing == []


def test_nothing_is_left_for_later():
    """No reminder and no stub: what is not done is said in the documentation."""
    word = re.compile(r"\b(TO" + r"DO|FIX" + r"ME|XX" + r"X|NotImplemented" + r"Error)\b")
    found = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in tracked(".py", ".md", ".toml", ".sh", ".sql")
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if word.search(line)
    ]
    assert found == []


def test_every_queue_has_a_bound():
    """A queue or deque without a limit grows until the process dies."""
    unbounded = []
    for path, tree in trees():
        for node in ast.walk(tree):
            if not isinstance(node, ast.Call):
                continue
            name = ast.unparse(node.func).split(".")[-1]
            if name in {"Queue", "LifoQueue", "PriorityQueue", "SimpleQueue"} and not (
                node.args or node.keywords
            ):
                unbounded.append(f"{path}:{node.lineno} {name}()")
    # The pools of connections hold exactly the connections that were opened.
    allowed = {"collector/store/engine.py"}
    assert [line for line in unbounded if line.split(":")[0] not in allowed] == []


def test_every_setting_is_explained():
    """In defaults.toml every key has a comment above it, or shares its neighbour's."""
    lines = (ROOT / "davylamp" / "defaults.toml").read_text(encoding="utf-8").splitlines()
    bare = []
    explained = False
    for line in lines:
        if line.startswith("#"):
            explained = True
        elif line.startswith("[") or not line.strip():
            explained = False
        elif not explained and not line.startswith(("host", " ", "]")):
            bare.append(line)
    assert bare == []


def test_defaults_are_read_by_the_packages():
    """Every section builds its Config: no key too many, none missing."""
    from davylamp import config

    settings = config.load_settings(environ={})
    for build in (
        config.collector_config,
        config.analysis_config,
        config.dashboards_config,
        config.samples_config,
    ):
        build(settings)


def test_the_lock_names_no_host():
    """The lock pins by hash; where packages come from is the machine's business."""
    text = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    assert "://" not in text
    pinned = re.findall(r"^([a-z0-9._-]+)(?:\[[^\]]*\])?==", text, re.MULTILINE)
    assert len(pinned) > 50
    assert text.count("--hash=sha256:") >= len(pinned)


def test_the_lock_covers_the_project():
    """Every package pyproject asks for is pinned."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = [*project["dependencies"]]
    for extra in project["optional-dependencies"].values():
        wanted += extra
    names = {re.split(r"[\[<>=!~; ]", one)[0].lower() for one in wanted}
    text = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    pinned = set(re.findall(r"^([a-z0-9._-]+)(?:\[[^\]]*\])?==", text, re.MULTILINE))
    assert names - pinned == set()


def test_no_path_of_anybodys_machine():
    """Absolute paths of a developer's machine do not belong in the project."""
    here = re.compile(r"(?<![\w./])/(home|root|Users|work)/\w")
    found = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in tracked(".py", ".md", ".toml", ".sh", ".sql", "Makefile", ".lock", ".json")
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if here.search(line)
    ]
    assert found == []


@pytest.mark.parametrize("path", tracked(".md"), ids=lambda p: p.name)
def test_documents_have_one_title_and_true_links(path):
    """One first-level heading; every relative link leads to a file."""
    text = path.read_text(encoding="utf-8")
    prose = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    assert len(re.findall(r"^# ", prose, re.MULTILINE)) == 1
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", prose):
        if "://" not in target and not target.startswith("mailto:"):
            assert (path.parent / target).exists(), f"{path.name} links to {target}"


def test_base_package_is_light():
    """Importing the library a service needs loads nothing heavy."""
    heavy = ("scipy", "numpy", "dash", "sqlalchemy", "pydantic", "chdb", "pyarrow", "fastapi")
    code = f"import sys, telemetry; sys.exit(any(name in sys.modules for name in {heavy!r}))"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
