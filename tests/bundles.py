"""A tiny classification view, and untrained bundles of both tasks: for tests of what reads them."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from torch import nn

from cnnpipe import files
from cnnpipe.annotations import SPLITS, Split
from cnnpipe.datasets.packs import PackPlan, write_view
from cnnpipe.datasets.records import VIEW_FILE, Sample
from cnnpipe.models.bundle import MODEL_FILE, WEIGHTS_FILE, Decoding, ModelSpec, Preprocessing
from cnnpipe.models.detectors import DetectorShape, build_detector
from cnnpipe.models.networks import build_network
from cnnpipe.models.shape import NetworkShape
from cnnpipe.models.weights import write_weights
from cnnpipe.training.records import HISTORY_FILE, RUN_FILE, RunRecord

SIDE_PX = 32
DETECT_SIDE_PX = 64


def make_view(
    folder: Path,
    *,
    classes: Sequence[str] = ("boot", "coat", "dress"),
    pictures_per_split: int = 20,
    splits: Sequence[Split] = SPLITS,
    seed: int = 0,
) -> None:
    """Write a view of noise pictures, two regions each, whose brightness goes with the class."""
    folder.mkdir(parents=True, exist_ok=True)
    generator = np.random.default_rng(seed)
    samples: list[Sample] = []
    pictures: list[npt.NDArray[np.uint8]] = []
    for split in splits:
        for region in range(2 * pictures_per_split):
            class_index = int(generator.integers(len(classes)))
            width, height = (int(side) for side in generator.integers(8, SIDE_PX, size=2))
            image_id = f"{split}/scene_{region // 2:04d}.png"
            samples.append(
                Sample(
                    sample_id=f"{image_id}#{region % 2}",
                    image_id=image_id,
                    region=region % 2,
                    copy=0,
                    split=split,
                    group=image_id,
                    label=classes[class_index],
                    class_index=class_index,
                    offset=sum(picture.size for picture in pictures),
                    width=width,
                    height=height,
                )
            )
            brightness = 40 + 160 * class_index // len(classes)
            pictures.append(
                generator.integers(brightness, brightness + 50, (height, width, 3), dtype=np.uint8)
            )
    plan = PackPlan(
        task="classify",
        label_attribute="class",
        source="objects",
        classes=list(classes),
        channels=3,
        max_side_px=SIDE_PX,
        samples=samples,
    )
    write_view(folder, plan, pictures)


def make_bundle(
    folder: Path, view: Path, *, classes: Sequence[str] = ("boot", "coat", "dress"), seed: int = 0
) -> None:
    """Write models/<exp> of a LeNet with its first weights, as if it had been trained on `view`."""
    shape = NetworkShape(num_classes=len(classes), channels=3, side_px=SIDE_PX, dropout=0.0)
    network = build_network("lenet", shape, weights="none", seed=seed)
    folder.mkdir(parents=True, exist_ok=True)
    spec = ModelSpec(
        task="classify",
        network="lenet",
        dropout=0.0,
        classes=list(classes),
        preprocessing=Preprocessing(
            side_px=SIDE_PX, channels=3, fit="letterbox", mean=[0.5] * 3, std=[0.25] * 3
        ),
        decoder="softmax",
        data_sha256=files.sha256_of_file(view / VIEW_FILE),
        weights_sha256=write_weights(folder / WEIGHTS_FILE, network.state_dict()),
    )
    _write_rest(folder, spec, network, watched=("val/accuracy",), seed=seed)


def make_detect_bundle(
    folder: Path, view: Path, *, classes: Sequence[str] = ("ant", "bee", "cat"), seed: int = 0
) -> None:
    """Write models/<exp> of an fcos-lite0 with its first weights, as if it had been trained on `view`.

    It finds at most 20 boxes in a picture, with scores below 0.1 and of no use.
    """
    decoding = Decoding(score_floor=0.05, nms_iou=0.6, max_detections=20)
    shape = DetectorShape(num_classes=len(classes), channels=3, side_px=DETECT_SIDE_PX, decoding=decoding)
    network = build_detector("fcos-lite0", shape, weights="none", seed=seed)
    folder.mkdir(parents=True, exist_ok=True)
    spec = ModelSpec(
        task="detect",
        network="fcos-lite0",
        dropout=0.0,
        classes=list(classes),
        preprocessing=Preprocessing(
            side_px=DETECT_SIDE_PX, channels=3, fit="letterbox", mean=[0.5] * 3, std=[0.5] * 3
        ),
        decoder="boxes",
        decoding=decoding,
        thresholds=dict.fromkeys(classes, 0.07),
        source="objects",
        label_attribute="kind",
        data_sha256=files.sha256_of_file(view / VIEW_FILE),
        weights_sha256=write_weights(folder / WEIGHTS_FILE, network.state_dict()),
    )
    _write_rest(folder, spec, network, watched=("val/map_50", "val/map_50_95"), seed=seed)


def _write_rest(
    folder: Path, spec: ModelSpec, network: nn.Module, *, watched: Sequence[str], seed: int
) -> None:
    files.write_json(folder / MODEL_FILE, spec)
    params = {
        "input.side_px": spec.preprocessing.side_px,
        "early_stopping": None,
        "train.num_threads": 1,
        "seed": seed,
    }
    files.write_json(
        folder / RUN_FILE,
        RunRecord(
            signature=f"{seed:064x}",
            experiment=folder.name,
            task=spec.task,
            network=spec.network,
            num_parameters=sum(parameter.numel() for parameter in network.parameters()),
            params=params,
            inputs={str(Path("view") / VIEW_FILE): spec.data_sha256},
            code="0" * 64,
            stop_reason="epochs",
            best_epoch=2,
        ),
    )
    epochs = [
        {"epoch": epoch, "step": 4 * epoch, "train/loss": 1 / epoch, "val/loss": 1.2 / epoch}
        | dict.fromkeys(watched, 0.5)
        for epoch in (1, 2, 3)
    ]
    files.write_jsonl(folder / HISTORY_FILE, epochs)
