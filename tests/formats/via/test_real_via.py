"""What is written, opened in the real VIA: what it then holds is what was written.

VIA is not part of the project. CNNPIPE_VIA_SOURCES names a folder with its sources as its authors publish
them: via-1.0.6/via.html, via-2.0.11/via-2.x.y/src/index.html, via-3.0.10/via-3.x.y/src/html/.
"""

import base64
import json
import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from via_records import PLAIN_SHAPES, VIA_3_SHAPES, entry, everything, region, via_file

from cnnpipe.formats.via.convert import ConvertOptions, Target, convert
from cnnpipe.formats.via.labelling import Labelling
from cnnpipe.formats.via.records import ViaFile
from cnnpipe.geometry.shapes import ExtremeRect, Polygon, Rect, Shape, shape_to_outline

SOURCES: Final = os.environ.get("CNNPIPE_VIA_SOURCES", "")
CHROMIUM: Final = shutil.which("chromium") or shutil.which("chromium-browser") or ""
PAGES: Final = {
    "1": "via-1.0.6/via.html",
    "2": "via-2.0.11/via-2.x.y/src/index.html",
    "3": "via-3.0.10/via-3.x.y/src/html/_via_image_annotator.html",
}
# What a user does in VIA, by its own functions: import the text, then export what it holds.
VIA_1_JSON: Final = """
  var given = JSON.parse(text);
  for (var key in given) {
    _via_img_metadata[key] = new ImageMetadata(new Blob(['x']), given[key].filename, given[key].size);
    _via_image_id_list.push(key);
    _via_loaded_img_fn_list.push(given[key].filename);
    _via_img_count += 1;
  }
  import_annotations_from_json(text);
  return JSON.parse(pack_via_metadata('json')[0]);
"""
VIA_2_JSON: Final = """
  await import_annotations_from_json(text);
  return JSON.parse((await pack_via_metadata('json'))[0]);
"""
VIA_2_CSV: Final = """
  var counts = await import_annotations_from_csv(text);
  return {malformed: counts[2], csv: (await pack_via_metadata('csv')).join('')};
"""
VIA_2_PROJECT: Final = """
  project_open_parse_json_file(text);
  await later();
  return {drawn: _via_current_image_loaded ? _via_canvas_regions.length : null,
          _via_settings: _via_settings, _via_img_metadata: _via_img_metadata,
          _via_attributes: _via_attributes, _via_data_format_version: '2.0.10',
          _via_image_id_list: _via_image_id_list};
"""
VIA_2_COCO: Final = """
  await import_coco_annotations_from_json(text);
  return {metadata: _via_img_metadata, attributes: _via_attributes.region};
"""
VIA_3_PROJECT: Final = """
  await via.d.project_load(text);
  via.va.view_show('1');
  await later();
  var shown = via.va.file_annotator[0][0];
  if (shown.rshapectx) shown._creg_draw_all();  // none where the picture is not found
  return {drawn: shown.rshapectx ? Object.keys(shown.creg).length : null, store: via.d.store};
"""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not SOURCES, reason="CNNPIPE_VIA_SOURCES names no folder with the sources of VIA"),
    pytest.mark.skipif(not CHROMIUM, reason="chromium is not installed"),
]


def open_in_via(version: str, script: str, text: str, folder: Path) -> Any:
    """Return what `script` returns in a page of VIA, where it finds `text`; no error may happen in VIA."""
    page = Path(SOURCES, PAGES[version])
    if not page.is_file():
        pytest.skip(f"{page} is missing")
    wrapper = folder / "wrapper.html"
    wrapper.write_text(_wrap(page, script, text), encoding="utf-8")
    options = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--virtual-time-budget=10000",
        "--dump-dom",
    ]
    command = [CHROMIUM, *options, f"--user-data-dir={folder / 'profile'}", wrapper.as_uri()]
    done = subprocess.run(command, capture_output=True, timeout=120, check=False)
    found = re.search(rb'<pre id="held">([^<]*)</pre>', done.stdout)
    assert found, f"VIA did not answer: {done.stderr[-2000:]!r}"
    answer = json.loads(base64.b64decode(found[1]))
    assert answer["errors"] == []
    return answer["value"]


def _wrap(page: Path, script: str, text: str) -> str:
    encoded = base64.b64encode(text.encode()).decode()
    caught = """<script>
  var seen_errors = [];
  window.addEventListener('error', function(e) { if (e.message) seen_errors.push(e.message); });
  window.addEventListener('unhandledrejection', function(e) { seen_errors.push('rejected: ' + e.reason); });
</script>"""
    driver = f"""<script>
  function to_text(data) {{
    return new TextDecoder().decode(Uint8Array.from(atob(data), c => c.charCodeAt(0)));
  }}
  function to_data(text) {{
    var data = '';
    new TextEncoder().encode(text).forEach(function(b) {{ data += String.fromCharCode(b); }});
    return btoa(data);
  }}
  function later() {{ return new Promise(function(done) {{ setTimeout(done, 1500); }}); }}
  async function drive(text) {{ {script} }}
  function answer(value) {{
    var pre = document.createElement('pre');
    pre.id = 'held';
    pre.textContent = to_data(JSON.stringify({{errors: seen_errors, value: value}}));
    document.body.appendChild(pre);
  }}
  window.addEventListener('load', function() {{ setTimeout(function() {{
    drive(to_text('{encoded}')).then(
      function(value) {{ setTimeout(function() {{ answer(value); }}, 300); }},
      function(error) {{ seen_errors.push('' + error); answer(null); }}
    );
  }}, 300); }});
</script>"""
    html = page.read_text(encoding="utf-8")
    html = html.replace("<head>", f'<head><base href="{page.parent.as_uri()}/">{caught}', 1)
    before, end, after = html.rpartition("</body>")
    return f"{before}{driver}{end}{after}"


def written(file: ViaFile, target: Target, folder: Path, **options: Any) -> str:
    convert(file, folder / "written", target, ConvertOptions(**options))
    return (folder / "written").read_text(encoding="utf-8")


def test_via_1_holds_the_annotations_that_were_written(tmp_path: Path) -> None:
    text = written(everything(), "via1-json", tmp_path)
    assert open_in_via("1", VIA_1_JSON, text, tmp_path) == json.loads(text)


def test_via_2_holds_the_annotations_that_were_written(tmp_path: Path) -> None:
    text = written(everything(), "via2-json", tmp_path)
    assert open_in_via("2", VIA_2_JSON, text, tmp_path) == json.loads(text)


def test_via_2_writes_the_csv_again_to_the_letter(tmp_path: Path) -> None:
    text = written(everything(), "via2-csv", tmp_path)
    assert open_in_via("2", VIA_2_CSV, text, tmp_path) == {"malformed": 0, "csv": text}


def test_via_2_holds_the_project_that_was_written(tmp_path: Path) -> None:
    picture_in(tmp_path / "pictures")
    text = written(everything(), "via2-project", tmp_path, default_filepath=f"{tmp_path}/pictures")
    project, held = json.loads(text), open_in_via("2", VIA_2_PROJECT, text, tmp_path)
    assert held.pop("drawn") == len(PLAIN_SHAPES)  # of the first picture, whose file is there
    assert is_within(project.pop("_via_settings"), held.pop("_via_settings"))
    assert held == project


def test_via_2_takes_the_coco_that_was_written_for_it(tmp_path: Path) -> None:
    shapes = [*PLAIN_SHAPES, *VIA_3_SHAPES, Polygon((0, 10, 10, 0), (0, 0, 10, 10))]
    regions = [region(shape, number, kind=f"k{number}") for number, shape in enumerate(shapes)]
    file = via_file(entry("a.png", *regions), entry("b.png"))
    labelling = Labelling(attribute="kind")
    text = written(file, "coco-via", tmp_path, labelling=labelling, sizes={"a.png5": (640, 480)})
    held = open_in_via("2", VIA_2_COCO, text, tmp_path)
    assert held["metadata"]["1"]["file_attributes"] == {"width": 640, "height": 480}
    assert held["metadata"]["2"]["regions"] == []
    options = held["attributes"]["kind"]["options"]
    of_via = [
        (options[each["region_attributes"]["kind"]], each["shape_attributes"])
        for each in held["metadata"]["1"]["regions"]
    ]
    outlines = [(f"k{number}", shape, shape_to_outline(shape)) for number, shape in enumerate(shapes)]
    assert of_via == [
        (label, coco_shape(shape, outline)) for label, shape, outline in outlines if outline is not None
    ]
    assert sorted(options.values()) == [label for label, _, outline in outlines if outline is not None]


def test_via_3_holds_the_project_that_was_written(tmp_path: Path) -> None:
    picture_in(tmp_path / "pictures")
    file = everything()
    [first, *others] = file.entries
    more = [*first.regions, *(region(shape, 9) for shape in VIA_3_SHAPES)]
    entries = [msgspec.structs.replace(first, regions=tuple(more)), *others]
    options = {"default_filepath": f"{tmp_path}/pictures"}
    text = written(via_file(*entries, attributes=file.attributes), "via3-project", tmp_path, **options)
    held = open_in_via("3", VIA_3_PROJECT, text, tmp_path)
    assert held == {"drawn": len(more), "store": json.loads(text)}


def picture_in(folder: Path) -> None:
    folder.mkdir()
    Image.new("RGB", (200, 150), "white").save(folder / "a b.png")


def coco_shape(shape: Shape, outline: NDArray[np.float64]) -> dict[str, Any]:
    """Return what VIA makes of an annotation: rects stay, all else is a polygon, of four corners closed."""
    corners = [(float(x), float(y)) for x, y in outline]
    if isinstance(shape, Rect | ExtremeRect):
        (x, y), (x_max, y_max) = corners[0], corners[2]
        return {"name": "rect", "x": x, "y": y, "width": x_max - x, "height": y_max - y}
    corners += corners[:1] if len(corners) == 4 else []
    return {
        "name": "polygon",
        "all_points_x": [x for x, _ in corners],
        "all_points_y": [y for _, y in corners],
    }


def is_within(part: Any, whole: Any) -> bool:
    """Whether all that `part` says stands in `whole`, which may say more."""
    if isinstance(part, Mapping):
        return all(key in whole and is_within(value, whole[key]) for key, value in part.items())
    return bool(part == whole)
