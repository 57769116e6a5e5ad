import json
import sys
from pathlib import Path

import pytest

from benchmarks import pack_reading


def test_both_sides_read_every_picture_and_the_result_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "result.json"
    small = ["--pictures", "5", "--epochs", "1", "--side", "32", "--pack-side", "40", "--batch-size", "2"]
    monkeypatch.setattr(sys, "argv", ["pack_reading", *small, "--out", str(out)])
    pack_reading.main()
    result = json.loads(out.read_text())
    assert json.loads(capsys.readouterr().out) == result
    ours, theirs = result["pack_pictures_per_cpu_second"], result["image_folder_pictures_per_cpu_second"]
    assert result["ratio"] == pytest.approx(ours / theirs)
    assert ours > 0
