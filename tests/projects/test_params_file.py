"""params.yaml is extended, and the rest of it stays as its owner wrote it."""

import difflib
from pathlib import Path

import pytest

from cnnpipe.params.load import read_yaml
from cnnpipe.projects.params_file import with_annotations

ROOT = Path(__file__).resolve().parents[2]
ODD = ["a [1] #.json", "ü 稲.json", "x: y.json", "- z", "${item}.json"]


def changed_lines(before: str, after: str) -> list[str]:
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), n=0, lineterm="")
    return [line for line in lines if line[0] in "+-" and not line.startswith(("+++", "---"))]


def test_only_the_list_changes(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_bytes((ROOT / "params.yaml").read_bytes())
    after = with_annotations(path, ODD).decode()
    removed, added = changed_lines(path.read_text(), after)
    assert removed.startswith("-  annotations: [via_project.json]")
    assert "# VIA files below raw_dir" in added
    before = read_yaml(path)
    path.write_text(after)
    before["ingest"]["annotations"] += ODD
    assert read_yaml(path) == before


@pytest.mark.parametrize(
    "text",
    [
        "ingest:\n    annotations:  # mine\n        - a.json # first\n    raw_dir: d\nempty: null\ntilde: ~",
        "# head\ningest: {annotations: ['a.json']}\nrate: 1e-3\nswitch: on\nlong: " + "x" * 300 + "\n",
        'ingest:\n  annotations: [a.json]\nblank:\n\n\nlast: "q"  # end\n',
    ],
    ids=["indented by four", "flow", "blank lines"],
)
def test_values_and_comments_stay(tmp_path: Path, text: str) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(text)
    before = read_yaml(path)
    after = with_annotations(path, ["b.json"]).decode()
    path.write_text(after)
    before["ingest"]["annotations"].append("b.json")
    assert read_yaml(path) == before
    assert [word for word in text.split() if word.startswith("#")] == [
        word for word in after.split() if word.startswith("#")
    ]
