"""The sheet of an experiment's augmentation shows what training reads."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bundles import make_view
from numpy.typing import NDArray
from PIL import Image
from toy_pictures import toy_params
from typer.testing import CliRunner

from cnnpipe.augmentation.policy import build_augmentation
from cnnpipe.cli.main import app
from cnnpipe.datasets.classification import batch_maker
from cnnpipe.datasets.loading import batches_of_epoch, epoch_loader
from cnnpipe.datasets.packs import open_view
from cnnpipe.errors import DataError
from cnnpipe.params.experiment import ClassifyParams
from cnnpipe.reports import policy_preview
from cnnpipe.reports.policy_preview import write_policy_preview
from cnnpipe.reports.sheets import SheetRow

POLICY = {"crop_scale": 0.5, "flip_horizontal": 0.5, "flip_vertical": 0.0, "translate_fraction": 0.1}
POLICY |= {"brightness": 0.2, "contrast": 0.0, "saturation": 0.0}
INPUT = {"side_px": 24, "channels": 3, "fit": "letterbox", "normalisation": "half"}


@pytest.fixture(scope="module")
def view(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("view")
    make_view(folder, pictures_per_split=3)
    return folder


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[SheetRow]:
    """Return the rows that are drawn, once they are."""
    rows: list[SheetRow] = []

    def keep(path: Path, given: list[SheetRow], **rest: Any) -> None:
        rows.extend(given)

    monkeypatch.setattr(policy_preview, "write_sheet", keep)
    return rows


def recipe(**changes: Any) -> ClassifyParams:
    return toy_params(**({"input": INPUT, "augmentation": POLICY} | changes))


def read_in_training(view: Path, params: ClassifyParams, epoch: int) -> set[bytes]:
    augment = build_augmentation(params.augmentation, side_px=24, channels=3, fit="letterbox")
    opened = open_view(view)
    make_batch = batch_maker(opened, augment)
    loader = epoch_loader(opened, make_batch, batch_size=4, seed=params.seed, num_workers=0)
    pictures = [p for batch in batches_of_epoch(loader, epoch) for p in batch[0].permute(0, 2, 3, 1).numpy()]
    return {np.ascontiguousarray(picture).tobytes() for picture in pictures}


def test_the_draws_are_those_of_the_first_epochs(view: Path, drawn: list[SheetRow], tmp_path: Path) -> None:
    params = recipe()
    assert write_policy_preview(tmp_path / "x.png", view, params, name="toy") == len(drawn) == 6
    assert {row.lines[0] for row in drawn[:3]} == {"boot", "coat", "dress"}
    for epoch in (1, 6):
        of_sheet = {picture_of(row, epoch).tobytes() for row in drawn}
        assert of_sheet == read_in_training(view, params, epoch)


def test_mixed_pictures_are_of_the_rows(view: Path, drawn: list[SheetRow], tmp_path: Path) -> None:
    mix = {"mixup_alpha": 0.0, "cutmix_alpha": 1.0, "probability": 0.25}
    write_policy_preview(tmp_path / "x.png", view, recipe(mix=mix), name="toy")
    *plain, first, _ = drawn
    assert first.lines == ["row 1, mixed", "in 25% of batches"]
    num_changed = 0
    for epoch in range(1, 7):
        of_rows = np.stack([picture_of(row, epoch) for row in plain])
        mixed = picture_of(first, epoch)
        assert (mixed == of_rows).all(axis=3).any(axis=0).all()  # each pixel is one of some row
        num_changed += bool((mixed != of_rows[0]).any())
    assert num_changed > 0


def picture_of(row: SheetRow, epoch: int) -> NDArray[np.uint8]:
    picture = row.pictures[epoch]
    assert picture is not None
    return picture


def test_the_sheet_is_a_picture_of_all_rows_and_the_same_again(view: Path, tmp_path: Path) -> None:
    for name in ("one.png", "other.png"):
        write_policy_preview(tmp_path / name, view, recipe(), name="toy")
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "other.png").read_bytes()
    with Image.open(tmp_path / "one.png") as sheet:
        assert sheet.format == "PNG"
        assert sheet.height > 6 * 128


def test_a_view_that_is_not_made_is_told_with_the_way_to_make_it(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"the view is not made yet\n.*dvc repro augment@classify"):
        write_policy_preview(tmp_path / "x.png", tmp_path / "view", recipe(), name="toy")


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("classify", "--preview", "lenett"), 2, "did you mean 'lenet'"),
        (("detect", "--preview", "lenet"), 2, "cnnpipe augment classify --preview lenet"),
        (("classify", "--preview", "lenet", "--out", "sheet.txt"), 2, "let it end in .jpg or .png"),
        (("classify", "--out", "sheet.jpg"), 2, "name an experiment with --preview"),
    ],
)
def test_mistakes_are_told_in_words(words: tuple[str, ...], code: int, said: str) -> None:
    result = CliRunner().invoke(app, ["augment", *words])
    told = f"{result.output} {result.exception}"
    assert said in told
    assert getattr(result.exception, "exit_code", result.exit_code) == code
