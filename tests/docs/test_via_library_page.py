"""The examples of docs/via-library.md run, and end as the page says."""

import doctest
import json
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = Path(__file__).resolve().parents[2] / "docs/via-library.md"
PROJECT = {
    "_via_settings": {"ui": {}, "core": {}, "project": {"name": "leaves"}},
    "_via_img_metadata": {
        "leaf 1.jpg4711": {
            "filename": "leaf 1.jpg",
            "size": 4711,
            "regions": [
                {
                    "shape_attributes": {"name": "rect", "x": 10, "y": 20, "width": 30, "height": 40},
                    "region_attributes": {"class": "spot"},
                },
                {
                    "shape_attributes": {"name": "circle", "cx": 50, "cy": 60, "r": 7.5},
                    "region_attributes": {"class": "hole"},
                },
            ],
            "file_attributes": {"light": "sun"},
        },
        "leaf 2.jpg815": {
            "filename": "leaf 2.jpg",
            "size": 815,
            "regions": [
                {"shape_attributes": {"name": "polygon", "all_points_x": [1, 2, 3]}, "region_attributes": {}}
            ],
            "file_attributes": {},
        },
    },
    "_via_attributes": {
        "region": {"class": {"type": "text", "description": "", "default_value": ""}},
        "file": {"light": {"type": "text", "description": "", "default_value": ""}},
    },
    "_via_data_format_version": "2.0.10",
    "_via_image_id_list": ["leaf 1.jpg4711", "leaf 2.jpg815"],
}


def test_the_examples_of_the_page_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("via_project.json").write_text(json.dumps(PROJECT), encoding="utf-8")
    failed, tried = doctest.testfile(str(PAGE), module_relative=False, optionflags=doctest.ELLIPSIS)
    assert tried > 10
    assert failed == 0


def test_it_needs_none_of_the_extras() -> None:
    modules = ["cnnpipe.formats.via.read", "cnnpipe.formats.via.convert", "cnnpipe.formats.via.merge_files"]
    heavy = ["torch", "prefect", "mlflow", "dvc", "matplotlib", "cv2", "pandas"]
    code = (
        f"import sys; import {', '.join(modules)}; print([name for name in {heavy} if name in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"
