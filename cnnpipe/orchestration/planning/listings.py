"""The files of a project's own input folders, kept: DVC keeps of an input no more than one hash."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from dvc.repo import Repo

from cnnpipe import files, paths
from cnnpipe.errors import DataError
from cnnpipe.orchestration.graph import stages_in_order
from cnnpipe.orchestration.planning.contents import Content, contents_now

_NUM_LISTINGS: Final = 8


def keep_listings(repo: Repo) -> None:
    """Keep what the folders hold that stages read and none writes, e.g. data/raw of one's own data."""
    root = Path(repo.root_dir)
    keep(root, contents_now(repo, plain_inputs(repo)))


def plain_inputs(repo: Repo) -> set[str]:
    """Return the absolute paths that stages read and none writes."""
    written = [out.fs_path for stage in repo.index.stages if stage.cmd for out in stage.outs]
    read = {
        dep.fs_path
        for stage in stages_in_order(repo)
        for dep in stage.deps
        if dep.protocol == "local" and not hasattr(dep, "params")
    }
    return {path for path in read if not any(_overlap(path, other) for other in written)}


def keep(root: Path, contents: Mapping[str, Content | None]) -> None:
    """Keep the list of files of every folder among `contents` that is not kept yet."""
    for content in contents.values():
        if content is None or content.files is None:
            continue
        path = _listing_file(root, content.md5)
        if not path.exists():
            files.write_json(path, content.files)
            files.keep_newest(path.parent, _NUM_LISTINGS)


def kept_listing(root: Path, md5: str) -> dict[str, str] | None:
    """Return the files of a folder by its hash, path below it -> md5; None: not kept."""
    try:
        return files.read_json(_listing_file(root, md5), dict[str, str])
    except DataError:
        return None


def _listing_file(root: Path, md5: str) -> Path:
    return root / paths.state_dir() / "inputs" / f"{md5}.json"


def _overlap(one: str, other: str) -> bool:
    return f"{one}/".startswith(f"{other}/") or f"{other}/".startswith(f"{one}/")
