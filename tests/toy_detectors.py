"""A recipe that learns the toy detection view in seconds."""

from cnnpipe.params.experiment import DetectParams

SIDE_PX = 64


def toy_detect_params(**changes: object) -> DetectParams:
    """Return a recipe for fcos-lite0 on 64 px with the package's weights; `changes` replace its keys."""
    augmentation = {"crop_scale": 1.0, "translate_fraction": 0.0, "min_visible_fraction": 0.3}
    augmentation |= dict.fromkeys(("flip_horizontal", "flip_vertical"), 0.0)
    augmentation |= dict.fromkeys(("brightness", "contrast", "saturation"), 0.0)
    recipe = {
        "task": "detect",
        "network": "fcos-lite0",
        "weights": "package",
        "seed": 3,
        "input": {"side_px": SIDE_PX, "channels": 3, "fit": "letterbox", "normalisation": "half"},
        "augmentation": augmentation,
        "epochs": 6,
        "batch_size": 6,
        "optimiser": {"name": "adamw", "learning_rate": 0.002, "weight_decay": 0.01},
        "schedule": {"name": "cosine", "warmup_epochs": 1.0},
        "watch": "map_50",
        "early_stopping": None,
        "transfer": {"backbone_rate": 0.5, "frozen_epochs": 0, "batch_norm": "frozen"},
        "decoding": {"score_floor": 0.05, "nms_iou": 0.6, "max_detections": 100},
    }
    return DetectParams.model_validate(recipe | changes)
