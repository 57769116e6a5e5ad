"""Seeds tied to names, and files that are whole or not there."""

import errno
import hashlib
from collections import Counter
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnnpipe import files
from cnnpipe.annotations import FINDING_CODES, found, in_order
from cnnpipe.errors import DataError
from cnnpipe.seeding import seed_of, uniform_of

names = st.text(max_size=20)


class _Line(msgspec.Struct, frozen=True):
    name: str
    number: int


@given(st.integers(), names)
def test_a_seed_is_a_function_of_its_names(seed: int, name: str) -> None:
    assert seed_of(seed, name) == seed_of(seed, name)
    assert 0 <= seed_of(seed, name) < 2**63
    assert 0.0 <= uniform_of(seed, name) < 1.0


def test_seeds_differ_by_seed_name_and_order() -> None:
    assert (
        len({seed_of(1, "a"), seed_of(2, "a"), seed_of(1, "b"), seed_of(1, "a", "b"), seed_of(1, "b", "a")})
        == 5
    )


def test_uniform_numbers_fill_the_range_evenly() -> None:
    tenths = Counter(int(10 * uniform_of(7, f"picture {number}")) for number in range(10_000))
    assert set(tenths) == set(range(10))
    assert all(abs(number - 1000) < 150 for number in tenths.values())


def test_a_seed_never_changes() -> None:
    # splits and copies of existing projects depend on it
    digest = hashlib.sha256(b"20260101:images/a.jpg").digest()
    assert seed_of(20260101, "images/a.jpg") == int.from_bytes(digest[:8], "big") // 2


@given(st.lists(st.builds(_Line, st.text(), st.integers(-(2**40), 2**40))))
def test_lines_come_back_as_they_were(tmp_path_factory: pytest.TempPathFactory, lines: list[_Line]) -> None:
    path = tmp_path_factory.mktemp("lines") / "lines.jsonl"
    files.write_jsonl(path, lines)
    assert files.read_jsonl(path, _Line) == lines


def test_a_cut_line_is_named(tmp_path: Path) -> None:
    path = tmp_path / "lines.jsonl"
    path.write_text('{"name":"a","number":1}\n{"name":"b","nu')
    with pytest.raises(DataError, match=r"lines\.jsonl:2: .*\n  fix: restore the file"):
        files.read_jsonl(path, _Line)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"gone\.jsonl: file not found\n  fix: run the stage"):
        files.read_jsonl(tmp_path / "gone.jsonl", _Line)


def test_a_folder_takes_its_place_only_when_it_is_done(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with files.whole_folder(out) as folder:
        files.write_text(folder / "a.txt", "first")

    def fail() -> None:
        with files.whole_folder(out) as folder:
            files.write_text(folder / "a.txt", "second")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert (out / "a.txt").read_text() == "first"
    with files.whole_folder(out) as folder:
        assert list(folder.iterdir()) == []
        files.write_text(folder / "b.txt", "third")
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert [path.name for path in out.iterdir()] == ["b.txt"]


def test_findings_are_in_order_whatever_the_order_of_work() -> None:
    findings = [
        found("box-small", "b.jpg", "small", "fix", region=2),
        found("box-small", "b.jpg", "small", "fix", region=10),
        found("picture-empty", "b.jpg", "empty", "fix"),
        found("picture-empty", "a.jpg", "empty", "fix"),
    ]
    expected = [findings[3], findings[2], findings[0], findings[1]]
    assert in_order(findings) == expected
    assert in_order([*reversed(findings), findings[0]]) == expected


def test_every_code_has_a_severity_and_a_unit() -> None:
    for code, (severity, unit) in FINDING_CODES.items():
        assert found(code, "a.jpg", "what", "fix").severity == severity
        assert unit in ("picture", "region", "set")


def test_a_full_disk_leaves_the_old_file_and_no_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(b"old")

    def full(part: Path, content: bytes) -> int:
        part.open("wb").close()
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="No space left") as caught:
        files.write_bytes(path, b"new")
    assert caught.value.filename == str(path)
    assert [each.name for each in tmp_path.iterdir()] == ["a.json"]
    assert path.read_bytes() == b"old"
