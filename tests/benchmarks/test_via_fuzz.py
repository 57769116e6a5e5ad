"""A quick share of the fuzzing of VIA files; the benchmark has 20,000 cases."""

from pathlib import Path

import pytest

from benchmarks import via_fuzz
from cnnpipe.formats.via.read import parse_via


def test_broken_files_are_read_or_refused_and_nothing_is_written_elsewhere() -> None:
    tally = via_fuzz.Tally()
    via_fuzz.run_cases(120, via_fuzz.seeds(None), tally)
    assert tally.read > 30
    assert sum(tally.refused.values()) > 10


def test_the_seeds_are_of_every_kind_that_is_written() -> None:
    kinds = {parse_via(content, where="seed").kind for content in via_fuzz.seeds(None)}
    assert kinds == {"project-json", "annotations-json", "annotations-csv", "coco-json", "via3-project"}


@pytest.mark.parametrize(
    "content", [b'{"a": {"filename": "../../x.jpg"}}', b'{"a": {"filename": "/etc/x.jpg"}}']
)
def test_a_case_that_writes_beside_its_folder_would_be_seen(tmp_path: Path, content: bytes) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    via_fuzz.judge(content, folder, via_fuzz.Tally())
    (tmp_path / "x.txt").write_text("written beside it")
    with pytest.raises(AssertionError, match=r"written beside the folder: \['x.txt'\]"):
        via_fuzz.judge(content, folder, via_fuzz.Tally())
