"""What the map promises and neither ruff, mypy nor import-linter checks."""

import ast
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
MODULES = sorted((ROOT / "cnnpipe").rglob("*.py"))
SOURCES = [
    *MODULES,
    *sorted((ROOT / "tools").rglob("*.py")),
    *sorted((ROOT / "benchmarks").rglob("*.py")),
]
HEAVY = (
    "accelerate",
    "albumentations",
    "dvc",
    "matplotlib",
    "mlflow",
    "prefect",
    "sklearn",
    "timm",
    "torch",
    "torchvision",
)
# these run at every `dvc repro`, or before any training: no one should wait for torch there
LIGHT_MODULES = (
    "cnnpipe.__main__",
    "cnnpipe.cli.main",
    "cnnpipe.params.document",
    "cnnpipe.stages.code",
    "cnnpipe.stages.sample",
    "cnnpipe.stages.ingest",
    "cnnpipe.stages.validate",
    "cnnpipe.stages.split",
    "cnnpipe.stages.register",
    "cnnpipe.projects.doctor",
    "cnnpipe.projects.init",
    "cnnpipe.projects.update",
)
# a command loads only its own libraries, so the commands import inside functions
EAGER_MODULES = [p for p in MODULES if p.parent.name != "cli"]
NO_SUBJECT = re.compile(r"(^|_)(utils?|common|helpers?|misc|base|manager)(_|$)")
# where this very clone, what lies beside it and its user's files are
MACHINE_PLACES = [str(p) for p in (ROOT, ROOT.parent / "shared", Path.home()) if len(p.parts) > 1]


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def late_imports(tree: ast.AST, *, inside: bool = False) -> Iterator[ast.stmt]:
    """Yield the imports that stand in a function's body."""
    for node in ast.iter_child_nodes(tree):
        is_function = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        if inside and isinstance(node, ast.Import | ast.ImportFrom):
            yield node
        yield from late_imports(node, inside=inside or is_function)


def imported_libraries(tree: ast.AST) -> set[str]:
    """Return the first words of all that is imported anywhere in the module."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.partition(".")[0])
    return names


def loaded_by(code: str) -> set[str]:
    """Return which heavy libraries a new Python has loaded after running `code`."""
    ending = f"\nimport json, sys\nprint(json.dumps([n for n in {HEAVY!r} if n in sys.modules]))"
    ran = subprocess.run(
        [sys.executable, "-c", code + ending], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return set(json.loads(ran.stdout.splitlines()[-1]))


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_every_module_says_its_subject_in_a_docstring(path: Path) -> None:
    docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    assert docstring, f"{name_of(path)} has no docstring"


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_no_module_is_longer_than_400_lines(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 400, "is it two subjects?"


def test_no_module_has_a_name_without_a_subject() -> None:
    names = {part for path in MODULES for part in (path.stem, path.parent.name)}
    assert [name for name in sorted(names) if NO_SUBJECT.search(name)] == []


def test_a_package_holds_only_its_docstring() -> None:
    for path in MODULES:
        if path.name == "__init__.py":
            assert len(ast.parse(path.read_text(encoding="utf-8")).body) == 1, name_of(path)


@pytest.mark.parametrize("path", EAGER_MODULES, ids=name_of)
def test_only_the_commands_import_inside_a_function(path: Path) -> None:
    late = list(late_imports(ast.parse(path.read_text(encoding="utf-8"))))
    assert [f"line {node.lineno}: {ast.unparse(node)}" for node in late] == []


def test_the_check_for_late_imports_sees_through_blocks() -> None:
    source = """
import a
if a:
    import b
def f():
    with a:
        import c
    class K:
        from d import e
"""
    assert [ast.unparse(node) for node in late_imports(ast.parse(source))] == ["import c", "from d import e"]


@pytest.mark.parametrize("module", LIGHT_MODULES)
def test_what_runs_before_training_loads_no_heavy_library(module: str) -> None:
    assert loaded_by(f"import {module}") == set()


def test_help_loads_no_heavy_library() -> None:
    code = """
import sys
from cnnpipe.__main__ import main
sys.argv = ["cnnpipe", "--help"]
try:
    main()
except SystemExit as end:
    assert end.code == 0
"""
    assert loaded_by(code) == set()


def test_the_check_for_heavy_libraries_sees_one() -> None:
    assert loaded_by("import matplotlib") == {"matplotlib"}


def tracked_files() -> list[Path]:
    if not (ROOT / ".git").exists():
        pytest.skip("not a git clone")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    return [ROOT / name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]


@pytest.mark.parametrize("place", MACHINE_PLACES, ids=["clone", "beside", "home"][: len(MACHINE_PLACES)])
def test_no_tracked_file_names_a_path_of_this_machine(place: str) -> None:
    pattern = re.compile(rb"(?<![\w.~/-])" + re.escape(place.encode()) + rb"(?![\w-])")
    assert [name_of(path) for path in tracked_files() if pattern.search(path.read_bytes())] == []
