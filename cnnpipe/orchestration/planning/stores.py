"""What DVC keeps: objects by hash and runs by inputs, in the cache here and, when asked, on the remote."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, Final

import msgspec
from dvc.config import NoRemoteError
from dvc.repo import Repo
from dvc.stage import Stage
from dvc.utils import dict_sha256
from dvc.utils.serialize import loads_yaml
from dvc_data.hashfile.hash_info import HashInfo
from dvc_data.hashfile.tree import Tree
from dvc_objects.errors import ObjectFormatError

from cnnpipe.errors import ParamsError, StorageError
from cnnpipe.orchestration.planning.contents import Content

_NOT_IN_KEY: Final = ("size", "nfiles")  # as DVC: they say nothing that the hash does not


class Stores(msgspec.Struct, frozen=True):
    """Where to look, the cache of this machine first. Each is a database of DVC."""

    objects: tuple[Any, ...]
    runs: tuple[Any, ...]  # DVC keeps its runs beside the objects of its older form


def open_stores(repo: Repo, *, remote: bool) -> Stores:
    """Return the cache, and with `remote` the default remote too.

    Raises:
        ParamsError: there is no remote.
        StorageError: what its kind needs is not installed.
    """
    local = Stores(objects=(repo.cache.local,), runs=(repo.cache.legacy,))
    if not remote:
        return local
    try:
        objects, runs = (
            repo.cloud.get_remote_odb(None, "plan", hash_name=name) for name in ("md5", "md5-dos2unix")
        )
    except NoRemoteError as error:
        fix = "leave out --remote, or add one: dvc remote add --default NAME URL"
        raise ParamsError("DVC's remote", "this project has none", fix) from error
    except ImportError as error:
        raise StorageError(
            "DVC's remote", str(error), "install what is named, as `dvc pull` needs it too"
        ) from error
    return Stores(objects=(*local.objects, objects), runs=(*local.runs, runs))


def local_part(stores: Stores) -> Stores:
    """Return the cache of this machine alone."""
    return Stores(objects=stores.objects[:1], runs=stores.runs[:1])


def holds_all(stores: Stores, md5s: Iterable[str]) -> bool:
    """Whether all these objects are there: a folder with all its files.

    Raises:
        StorageError: the remote cannot be reached.
    """
    wanted = set(md5s)
    for md5 in [each for each in wanted if each.endswith(".dir")]:
        files = files_behind(stores, md5)
        if files is None:
            return False
        wanted |= set(files.values())
    for number, store in enumerate(stores.objects):
        if number == 0:
            wanted = {md5 for md5 in wanted if not store.exists(md5)}
        elif wanted:
            with _reaching(store):
                wanted -= set(store.oids_exist(wanted))
    return not wanted


def files_behind(stores: Stores, md5: str) -> dict[str, str] | None:
    """Return the files of a folder by its hash; None: it is not there.

    Raises:
        StorageError: the remote cannot be reached.
    """
    for store in stores.objects:
        with suppress(FileNotFoundError, ObjectFormatError), _reaching(store):
            tree = Tree.load(store, HashInfo("md5", md5))
            return {"/".join(key): str(found.value) for key, _, found in tree}
    return None


def newest_run(stores: Stores, key: str) -> dict[str, str] | None:
    """Return what the latest run with this key wrote, path -> md5; None: no such run is known.

    Raises:
        StorageError: the remote cannot be reached.
    """
    for store in stores.runs:
        with suppress(FileNotFoundError), _reaching(store):
            folder = store.fs.join(store.path, "runs", key[:2], key)
            if found := [each for each in store.fs.ls(folder, detail=True) if each["type"] == "file"]:
                newest = max(found, key=lambda each: str(each.get("mtime") or each.get("LastModified")))
                run = loads_yaml(store.fs.cat_file(newest["name"]).decode())
                return {out["path"]: out["md5"] for out in run["outs"]}
    return None


def run_key(stage: Stage, params: Mapping[str, Any], inputs: Mapping[str, Content]) -> str:
    """Return the name under which DVC keeps a run of `stage` with these inputs.

    Args:
        stage: of dvc.yaml.
        params: file -> name -> value, files as dvc.yaml names them.
        inputs: path -> content, paths as dvc.yaml names them.

    Source: dvc 3.67, stage/cache.py, `_get_cache_hash` of stage/serialize.py, `to_single_stage_lockfile`.
    """
    entry = {
        "cmd": stage.cmd,
        "deps": [_dependency(path, content) for path, content in sorted(inputs.items())],
        "params": dict(params),
        "outs": sorted(out.def_path for out in stage.outs),
    }
    return str(dict_sha256({name: value for name, value in entry.items() if value}, exclude=_NOT_IN_KEY))


def is_kept(stage: Stage) -> bool:
    """Whether DVC keeps the runs of a stage at all.

    Source: dvc 3.67, stage/cache.py, `_can_hash`.
    """
    outs_are_kept = all(
        out.protocol == "local" and out.def_path and not out.persist and out.is_in_repo for out in stage.outs
    )
    return bool(stage.deps and stage.outs) and outs_are_kept


def _dependency(path: str, content: Content) -> dict[str, Any]:
    mode = {"isexec": True} if content.is_executable else {}
    return {"path": path, "hash": "md5", "md5": content.md5, **mode}


@contextmanager
def _reaching(store: Any) -> Iterator[None]:
    """Name the remote where it cannot be reached; what is not found there is no such case."""
    try:
        yield
    except (FileNotFoundError, ObjectFormatError, StorageError):
        raise
    except Exception as error:  # each kind of remote has errors of its own
        fix = "see that it is on and that you may read it; or leave out --remote"
        raise StorageError(f"the DVC remote at {store.path}", str(error), fix) from error
