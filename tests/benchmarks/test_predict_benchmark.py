"""Both sides predict every picture, and what they took is written down."""

from pathlib import Path

from benchmarks import predict
from cnnpipe import files


def test_every_side_is_measured_and_the_result_is_written(tmp_path: Path) -> None:
    out = tmp_path / "result.json"
    arguments = ["--pictures", "3", "--side", "32", "--rounds", "1", "--out", str(out)]
    assert predict.main(arguments) in (0, 1)
    result = files.read_json(out, dict)
    assert result["num_pictures"] == 3
    assert result["ratio"] == result["ours_cpu_seconds"][0] / result["bare_cpu_seconds"][0]
    assert min(result["drawn_cpu_seconds"] + result["encoding_cpu_seconds"]) > 0
