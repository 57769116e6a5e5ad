"""The objective of detection: the losses that each detector brings along, and COCO's average precision.

Legend: B batch, C channels, S side of the square, N boxes.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Final

import torch
from torch import Tensor, nn

from cnnpipe.datasets.detection import DetectBatch, Target
from cnnpipe.evaluation.detection import Judged, coco_numbers
from cnnpipe.inference.forward import Normalise, to_network
from cnnpipe.models.detectors import Boxes
from cnnpipe.training.losses import finite_on_val, mean_over_pictures
from cnnpipe.training.objective import Objective
from cnnpipe.training.transfer import hold

VAL_METRICS: Final = ("map_50", "map_50_95")
# The parts of torchvision's FCOS and Faster R-CNN that convolve and multiply. Anchors, which box belongs to
# which object, and losses stay float32: in bfloat16 positions beyond 256 px are 2 px apart.
_LOWERED: Final = frozenset(
    f"detector.{name}"
    for name in ("backbone", "head", "rpn.head", "roi_heads.box_head", "roi_heads.box_predictor")
)
_VAL_SEED: Final = 0  # of the proposals that Faster R-CNN's loss is taken of: the same in every epoch


def detection_objective(
    normalise: Normalise, *, num_classes: int, watch: str = "loss"
) -> Objective[DetectBatch]:
    """Return the objective of a detector.

    Args:
        normalise: from uint8 to what the network sees.
        num_classes: without a background.
        watch: a metric of val that is judged, too: one of COCO's numbers.
    """
    return Objective(
        losses=partial(_losses, normalise=normalise),
        judge=partial(judge, normalise=normalise, num_classes=num_classes, watch=watch),
        may_be_lowered=_lowered,
    )


def judge(  # noqa: PLR0913 (the objective's three, and what it is judged by)
    network: nn.Module,
    batches: Iterable[DetectBatch],
    device: torch.device,
    *,
    normalise: Normalise,
    num_classes: int,
    watch: str = "loss",
) -> dict[str, float]:
    """Return loss, map_50, map_50_95 and the watched metric on val, by the boxes on the network's square.

    A letterboxed picture is scaled alike in x and y, so that a box overlaps there as it does in the picture.

    Args:
        network: a detector on `device`.
        batches: at least one object in all of them.
        device: where the network is.
        normalise: from uint8 to what the network sees.
        num_classes: without a background.
        watch: loss, or one of COCO's numbers that is defined on val.

    Raises:
        ModelError: the loss is NaN or infinite.
    """
    losses, sizes = [], []
    pictures: list[Judged] = []
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(_VAL_SEED)
        for batch in batches:
            seen_BCSS = to_network(batch.pictures, normalise, device=device)
            losses.append(_loss_without_learning(network, seen_BCSS, batch.targets, device))
            sizes.append(len(batch.pictures))
            found = network.eval()(seen_BCSS)
            pictures += [_judged(*pair) for pair in zip(batch.targets, found, strict=True)]
    loss = finite_on_val(mean_over_pictures(losses, sizes))
    numbers = coco_numbers(pictures, num_classes=num_classes)
    told = dict.fromkeys((*VAL_METRICS, watch))
    return {"loss": loss} | {name: numbers[name] for name in told if name != "loss"}


def _losses(
    network: nn.Module, batch: DetectBatch, device: torch.device, *, normalise: Normalise
) -> Mapping[str, Tensor]:
    seen_BCSS = to_network(batch.pictures, normalise, device=device)
    parts: Mapping[str, Tensor] = network(seen_BCSS, _on_device(batch.targets, device))
    return parts


def _lowered(network: nn.Module) -> Sequence[nn.Module]:
    return [module for name, module in network.named_modules() if name in _LOWERED]


def _loss_without_learning(
    network: nn.Module, seen_BCSS: Tensor, targets: list[Target], device: torch.device
) -> Tensor:
    """Return the loss of a batch of val: detectors tell it in training mode only."""
    network.train()
    hold(network.modules())
    return torch.stack(list(network(seen_BCSS, _on_device(targets, device)).values())).sum()


def _on_device(targets: list[Target], device: torch.device) -> list[Target]:
    return [Target(*(tensor.to(device, non_blocking=True) for tensor in target)) for target in targets]


def _judged(target: Target, found: Boxes) -> Judged:
    boxes_N4, scores_N, class_N = (tensor.cpu() for tensor in found)
    return Judged(
        truth_boxes_N4=target.boxes.double().numpy(),
        truth_class_N=target.class_index.numpy(),
        boxes_M4=boxes_N4.double().numpy(),
        scores_M=scores_N.double().numpy(),
        class_M=class_N.numpy(),
    )
