"""Pictures come into a project without a second copy where that can be, and the user's are never written."""

import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cnnpipe.errors import DataError, StorageError
from cnnpipe.projects import linking


@pytest.fixture
def pictures(tmp_path: Path) -> dict[Path, Path]:
    targets = {}
    for name in ("a b.png", "sub/ü.PNG", "#1,[x].png"):
        source = tmp_path / "mine" / name
        source.parent.mkdir(parents=True, exist_ok=True)
        source.write_bytes(name.encode() * 100)
        targets[source] = tmp_path / "project" / name
    return targets


def without(monkeypatch: pytest.MonkeyPatch, *, reflink: bool = True, hardlink: bool = True) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    if reflink:
        monkeypatch.setattr("fcntl.ioctl", fail)
    if hardlink:
        monkeypatch.setattr(os, "link", fail)


def bring(targets: dict[Path, Path]) -> tuple[dict[linking.Way, int], list[str]]:
    said: list[str] = []
    counts = linking.bring_pictures(targets, next(iter(targets.values())).parent, said.append)
    for source, target in targets.items():
        assert target.read_bytes() == source.read_bytes()
        assert not target.is_symlink()
    return counts, said


def test_a_hard_link_is_the_file_itself(pictures: dict[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    without(monkeypatch, hardlink=False)
    counts, [said] = bring(pictures)
    assert counts == {"hardlink": 3}
    assert all(source.samefile(target) for source, target in pictures.items())
    assert said.startswith("pictures: 2.7 kB linked, 0 bytes copied")


def test_what_cannot_be_linked_is_copied_after_its_size_was_told(
    pictures: dict[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    without(monkeypatch)
    counts, [said] = bring(pictures)
    assert counts == {"copy": 3}
    assert said.startswith("pictures: 0 bytes linked, 2.7 kB copied")


def test_a_reflink_is_taken_where_the_file_system_has_it(
    pictures: dict[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def clone(target: int, request: int, source: int) -> None:
        assert request == 0x40049409
        os.write(target, os.pread(source, 10**6, 0))

    monkeypatch.setattr("fcntl.ioctl", clone)
    counts, _ = bring(pictures)
    assert counts == {"reflink": 3}
    assert not any(source.samefile(target) for source, target in pictures.items())


def test_one_file_that_cannot_be_linked_does_not_stop_the_others(
    pictures: dict[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    without(monkeypatch, hardlink=False)
    link: Callable[..., None] = os.link

    def too_many(source: Path, target: Path) -> None:
        if source.name == "ü.PNG":
            raise OSError(errno.EMLINK, "Too many links")
        link(source, target)

    monkeypatch.setattr(os, "link", too_many)
    counts, _ = bring(pictures)
    assert counts == {"hardlink": 2, "copy": 1}


def test_a_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "1234").write_bytes(b"x")
    (tmp_path / "a.png").symlink_to("1234")
    bring({tmp_path / "a.png": tmp_path / "project/a.png"})


def test_a_disk_without_room_is_told_before_anything_is_copied(
    pictures: dict[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    without(monkeypatch)
    usage: Any = shutil._ntuple_diskusage(10**9, 10**9 - 1000, 1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    told = r"2\.7 kB must be copied there and 67\.1 MB stay free, but only 1\.0 kB are"
    with pytest.raises(StorageError, match=told):
        bring(pictures)
    left = [path for path in next(iter(pictures.values())).parent.rglob("*") if path.is_file()]
    assert left == []


def test_linking_needs_no_room(pictures: dict[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    without(monkeypatch, hardlink=False)
    usage: Any = shutil._ntuple_diskusage(10**9, 10**9 - 10, 10)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    assert bring(pictures)[0] == {"hardlink": 3}


def test_a_picture_that_may_not_be_read_is_named(
    pictures: dict[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    without(monkeypatch)

    def refuse(source: Path, target: Path) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(source))

    monkeypatch.setattr(shutil, "copyfile", refuse)
    with pytest.raises(DataError, match="cannot be read"):
        bring(pictures)
