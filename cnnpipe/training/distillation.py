"""A trained classifier as teacher: what it says of the student's pictures is learnt beside the labels.

Legend: B batch, C channels, H W pixels, S side of the teacher's square, K classes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from cnnpipe.errors import ModelError
from cnnpipe.inference.classifier import load_classifier
from cnnpipe.inference.forward import Normalise, to_network
from cnnpipe.inference.preprocessing import normalise_of
from cnnpipe.params.losses import DistillationParams
from cnnpipe.training.losses import kl_divergence
from cnnpipe.training.mixing import Mixing, mix_pictures

_GREY: Final = (0.299, 0.587, 0.114)  # of red, green and blue. Source: ITU-R BT.601


@dataclass(frozen=True)
class Teacher:
    """A trained classifier, and how it teaches."""

    network: nn.Module  # in evaluation mode; it goes to where the student is
    normalise: Normalise
    side_px: int
    channels: int
    temperature: float
    share: float  # of the loss that it has


def load_teacher(params: DistillationParams, classes: Sequence[str]) -> Teacher:
    """Return the teacher of params.

    Args:
        params: the folder of its bundle, below which project it is started in, and how it teaches.
        classes: of the student, in the order of its outputs.

    Raises:
        ModelError: the bundle is missing, damaged, not the one of params, or of other classes.
    """
    where = f"distillation.model {params.model}"
    folder = Path(params.model)
    if not folder.is_dir():
        fix = "copy the folder of a trained classifier there, or fetch it (dvc pull)"
        raise ModelError(where, "there is no such folder", fix)
    classifier = load_classifier(folder)
    spec = classifier.spec
    if spec.weights_sha256 != params.weights_sha256:
        what = f"its weights have the SHA-256 {spec.weights_sha256}, not that of weights_sha256"
        raise ModelError(where, what, "restore the teacher that is meant, or write this SHA-256 there")
    if list(classes) != spec.classes:
        what = f"it knows the classes {', '.join(spec.classes)}; the view has {', '.join(classes)}"
        raise ModelError(where, what, "take a teacher that was trained on the classes of this view")
    return Teacher(
        network=classifier.network.requires_grad_(False),
        normalise=normalise_of(spec.preprocessing),
        side_px=spec.preprocessing.side_px,
        channels=spec.preprocessing.channels,
        temperature=params.temperature,
        share=params.share,
    )


def teacher_logits(
    teacher: Teacher, pictures_BCHW: Tensor, mixing: Mixing | None, *, device: torch.device
) -> Tensor:
    """Return what the teacher says of a batch: logits_BK, without gradients.

    It sees the student's very pictures, from before they were normalised, in its own size, channels and
    normalisation; where the student's are mixed, its own are mixed by the same draw. How a picture was fitted
    into the square stays the student's affair.

    Args:
        teacher: its network goes to `device`.
        pictures_BCHW: uint8, after the student's augmentation.
        mixing: of the student's batch.
        device: where the student is.
    """
    with torch.no_grad():
        # channels and size before normalising, as where it was trained
        adapted_BCSS = _resized(_with_channels(pictures_BCHW.to(device), teacher.channels), teacher.side_px)
        seen_BCSS = to_network(adapted_BCSS, teacher.normalise, device=device)
        if mixing is not None:
            seen_BCSS = mix_pictures(seen_BCSS, mixing)
        logits_BK: Tensor = teacher.network.to(device)(seen_BCSS)
        return logits_BK.float()


def distillation_loss(logits_BK: Tensor, teacher_BK: Tensor, *, temperature: float) -> Tensor:
    """Return T² KL(softmax(teacher / T) ‖ softmax(logits / T)) of each picture, in nats.

    T² keeps the size of the gradients, which else fall with 1/T².

    Args:
        logits_BK: the student's.
        teacher_BK: the teacher's logits.
        temperature: T; above 1 the scores are softer, and tell more of how alike classes are.

    Source: Hinton et al. 2015, Distilling the Knowledge in a Neural Network, section 2.
    """
    scores_BK = (teacher_BK / temperature).softmax(dim=1)
    return temperature**2 * kl_divergence(logits_BK / temperature, scores_BK)


def _with_channels(pictures_BCHW: Tensor, channels: int) -> Tensor:
    if pictures_BCHW.shape[1] == channels:
        return pictures_BCHW
    if channels == 3:
        return pictures_BCHW.expand(-1, 3, -1, -1)
    shares = torch.tensor(_GREY, device=pictures_BCHW.device).view(1, 3, 1, 1)
    return (pictures_BCHW * shares).sum(dim=1, keepdim=True)


def _resized(pictures_BCHW: Tensor, side_px: int) -> Tensor:
    if pictures_BCHW.shape[2:] == (side_px, side_px):
        return pictures_BCHW
    # averaged or interpolated as in `augmentation.preprocess.resize`, by which the teacher's own are made
    shrinks_much = 3 * side_px < 2 * max(pictures_BCHW.shape[2:])
    mode = "area" if shrinks_much else "bilinear"
    return functional.interpolate(pictures_BCHW.float(), size=(side_px, side_px), mode=mode)
