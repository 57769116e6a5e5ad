"""The benchmark of `init`, in small."""

import json
from pathlib import Path

import pytest

from benchmarks import init_project


def test_both_see_every_picture_and_the_result_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    out = tmp_path / "result.json"
    assert init_project.main(["--pictures", "4", "--rounds", "1", "--out", str(out)]) == 1  # 4 are no measure
    result = json.loads(out.read_text(encoding="utf-8"))
    assert (result["ours"], result["bound"]) == ("cnnpipe init", init_project.BOUND)
    assert result["ratio"] == pytest.approx(result["ours_seconds"][0] / result["theirs_seconds"][0])
    assert "ratio" in capsys.readouterr().out
