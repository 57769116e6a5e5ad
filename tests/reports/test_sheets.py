import io
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cnnpipe.reports.sheets import SheetRow, write_sheet

RED = np.full((30, 60, 3), (220, 20, 20), dtype=np.uint8)
GREY = np.full((50, 50, 1), 90, dtype=np.uint8)


def drawn(
    folder: Path, *rows: SheetRow, caption: tuple[str, ...] = ("caption",), num_columns: int = 3
) -> NDArray[np.int64]:
    path = folder / "sheet.jpg"
    columns = [f"column {number}" for number in range(num_columns)]
    write_sheet(path, rows, caption=caption, columns=columns, cell_px=80)
    return np.asarray(Image.open(io.BytesIO(path.read_bytes())).convert("RGB")).astype(np.int64)


def is_red(sheet: NDArray[np.int64]) -> NDArray[np.bool_]:
    return (sheet[:, :, 0] > 190) & (sheet[:, :, 1] < 70)


def test_pictures_stand_in_their_cells_in_their_proportions(tmp_path: Path) -> None:
    sheet = drawn(tmp_path, SheetRow(["a"], [RED, None, RED]), SheetRow(["b"], [None, GREY]))
    assert is_red(sheet).sum() == np.clip(is_red(sheet).sum(), 2 * 75 * 36, 2 * 82 * 42)  # 80 x 40 each
    columns = np.flatnonzero(is_red(sheet).sum(axis=0) > 20)
    assert np.flatnonzero(np.diff(columns) > 1).size == 1  # two cells, the gap between them empty
    assert np.diff(columns).max() > 80
    grey = (np.abs(sheet - 90) < 6).all(axis=2)
    assert grey.sum() > 70 * 70
    assert np.flatnonzero(grey.sum(axis=1) > 60).min() > np.flatnonzero(is_red(sheet).any(axis=1)).max()


def test_same_rows_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "other"):
        drawn(tmp_path / name, SheetRow(["a", "train: 3"], [RED, GREY]))
    assert (tmp_path / "one/sheet.jpg").read_bytes() == (tmp_path / "other/sheet.jpg").read_bytes()


def text_of(folder: Path, text: str) -> NDArray[np.int64]:
    """Return the pixels of a row's name."""
    return drawn(folder, SheetRow([text], [None]))[-80:, :160]


def test_names_in_other_scripts_are_drawn(tmp_path: Path) -> None:
    names = ["кошка", "γάτα", "قطة", "חתול", "übel", "c++", "50%"]
    pictures = [text_of(tmp_path, name) for name in names]
    assert all((picture < 100).any() for picture in pictures)
    assert len({picture.tobytes() for picture in pictures}) == len(names)


def test_a_letter_without_a_glyph_stands_as_its_code_point(tmp_path: Path) -> None:
    assert (text_of(tmp_path, "稲a") == text_of(tmp_path, r"\u7a32a")).all()
    assert (text_of(tmp_path, "two\nlines") == text_of(tmp_path, "two lines")).all()


def test_a_long_name_ends_before_the_pictures(tmp_path: Path) -> None:
    long = text_of(tmp_path, "a very long name of a class that does not fit " * 3)
    assert (long[:, :100] < 100).any()
    sheet = drawn(tmp_path, SheetRow(["m" * 200], [None]), caption=("w" * 500,))
    assert (sheet[-80:, 165:] > 240).all()
    assert (sheet[:, -4:] > 240).all()


def test_a_sheet_without_rows_has_its_caption(tmp_path: Path) -> None:
    assert (drawn(tmp_path) < 100).any()
