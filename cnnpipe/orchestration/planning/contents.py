"""What lies at a path, as DVC's hashes: now, or once the stages before have been restored.

Every file is looked up once, in DVC's own table of hashes, and is hashed only where DVC would hash it too.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any

import msgspec
from dvc.repo import Repo
from dvc_data.hashfile.hash import hash_file
from dvc_data.hashfile.meta import Meta
from dvc_data.hashfile.tree import Tree


class Content(msgspec.Struct, frozen=True, kw_only=True):
    """A file, or a folder with the list of its files."""

    md5: str  # ends in .dir for a folder, as in dvc.lock
    files: Mapping[str, str] | None = None  # of a folder: path below it, POSIX -> md5
    num_bytes: int | None = None
    is_executable: bool = False  # of a file; DVC's run cache tells the two apart


class Unknown(msgspec.Struct, frozen=True):
    """What stages that are to run will write."""

    writers: tuple[str, ...]


# Absolute path -> what will lie there; None: nothing. Paths that are not named stay as they are.
Later = Mapping[str, Content | Unknown | None]


def contents_now(repo: Repo, asked: Iterable[str]) -> dict[str, Content | None]:
    """Return what lies at each absolute path that is asked for; None: nothing.

    Files that .dvcignore names do not exist for DVC, nor do those that vanish meanwhile.
    """
    wanted = sorted(set(asked))
    infos = {path: info for top in _outermost(wanted) for path, info in _files_at(repo, top)}
    md5s = _hashes(repo, infos)
    below: dict[str, dict[str, str]] = {path: {} for path in wanted}
    for path, md5 in md5s.items():
        for parent in _parents(path):
            if parent in below:
                below[parent][path[len(parent) + 1 :]] = md5
    return {path: _content(repo, path, infos, md5s, below[path]) for path in wanted}


def folder_of(files: Mapping[str, str], num_bytes: int | None = None) -> Content:
    """Return the folder that holds these files, with the hash that DVC gives it."""
    tree = Tree.from_list([{"relpath": path, "md5": md5} for path, md5 in files.items()], hash_name="md5")
    tree.digest()
    return Content(md5=str(tree.oid), files=files, num_bytes=num_bytes)


def content_later(path: str, now: Mapping[str, Content | None], later: Later) -> Content | Unknown | None:
    """Return what will lie at `path`, one of `now`, when the stages before have done their part."""
    for place in (path, *_parents(path)):
        if place in later:
            return _within(later[place], path[len(place) + 1 :])
    inside = {place[len(path) + 1 :]: later[place] for place in later if place.startswith(f"{path}/")}
    if not inside:
        return now[path]
    if writers := {name for each in inside.values() if isinstance(each, Unknown) for name in each.writers}:
        return Unknown(tuple(sorted(writers)))
    return _merged(now[path], inside)


def _merged(content: Content | None, inside: Mapping[str, Content | Unknown | None]) -> Content | None:
    kept = content.files if content is not None and content.files is not None else {}
    files = {path: md5 for path, md5 in kept.items() if not _is_in(path, inside)}
    for place, each in inside.items():
        if isinstance(each, Content):
            files |= {place: each.md5} if each.files is None else _under(place, each.files)
    return folder_of(files) if files or content is not None else None


def _under(place: str, files: Mapping[str, str]) -> dict[str, str]:
    return {f"{place}/{path}": md5 for path, md5 in files.items()}


def _is_in(path: str, places: Mapping[str, Any]) -> bool:
    return path in places or any(parent in places for parent in _parents(path))


def _within(content: Content | Unknown | None, path: str) -> Content | Unknown | None:
    """Return what lies at `path` below `content`; "": the content itself."""
    if not path or not isinstance(content, Content):
        return content
    files = content.files or {}
    if path in files:
        return Content(md5=files[path])
    below = {name[len(path) + 1 :]: md5 for name, md5 in files.items() if name.startswith(f"{path}/")}
    return folder_of(below) if below else None


def _content(
    repo: Repo, path: str, infos: Mapping[str, Any], md5s: Mapping[str, str], below: Mapping[str, str]
) -> Content | None:
    if path in md5s:
        meta = Meta.from_info(infos[path])
        return Content(md5=md5s[path], num_bytes=meta.size, is_executable=meta.isexec)
    if below or repo.fs.isdir(path):
        return folder_of(below, sum(infos[f"{path}/{name}"]["size"] for name in below))
    return None


def _files_at(repo: Repo, top: str) -> Iterator[tuple[str, dict[str, Any]]]:
    with suppress(FileNotFoundError):
        info = repo.fs.info(top)
        if info["type"] != "directory":
            yield top, info
            return
        for folder, _, names in repo.dvcignore.walk(repo.fs, top):
            for name in names:
                with suppress(FileNotFoundError):
                    yield f"{folder}/{name}", repo.fs.info(f"{folder}/{name}")


def _hashes(repo: Repo, infos: Mapping[str, dict[str, Any]]) -> dict[str, str]:
    """Return the md5 of every file, from DVC's table where it stands there; new ones are added to it."""
    md5s, computed = {}, []
    for path, _, known in repo.state.get_many(list(infos), repo.fs, infos):
        if known is not None and known.name == "md5":
            md5s[path] = str(known.value)
            continue
        with suppress(FileNotFoundError):
            _, found = hash_file(path, repo.fs, "md5", info=infos[path])
            md5s[path] = str(found.value)
            computed.append((path, found, infos[path]))
    repo.state.save_many(computed, repo.fs)
    return md5s


def _outermost(paths: list[str]) -> Iterator[str]:
    """Yield the paths, in order, that lie in no other one."""
    every = set(paths)
    return (path for path in paths if every.isdisjoint(_parents(path)))


def _parents(path: str) -> list[str]:
    """Return the folders that a path lies in, the nearest first; pathlib takes five times as long."""
    found = []
    while (end := path.rfind("/")) > 0:
        path = path[:end]
        found.append(path)
    return found
