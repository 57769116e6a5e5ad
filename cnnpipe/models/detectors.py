"""Detectors by name: one literal table.

They are torchvision's, which scales and normalises pictures itself and counts a background among the classes
of Faster R-CNN. Both end here: pictures come in ready, and classes are counted from 0 on both sides.

Legend: B batch, C channels, S side of the square, N boxes.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Any, Final

import msgspec
import torch
from torch import Tensor, nn
from torchvision.models.detection import (  # type: ignore[import-untyped]  # no stubs
    FCOS,
    FasterRCNN,
    fasterrcnn_mobilenet_v3_large_320_fpn,
)
from torchvision.models.detection.anchor_utils import AnchorGenerator  # type: ignore[import-untyped]
from torchvision.models.detection.faster_rcnn import (  # type: ignore[import-untyped]
    FastRCNNPredictor,
    TwoMLPHead,
)
from torchvision.models.detection.fcos import FCOSHead  # type: ignore[import-untyped]
from torchvision.models.detection.image_list import ImageList  # type: ignore[import-untyped]
from torchvision.ops import MultiScaleRoIAlign  # type: ignore[import-untyped]
from torchvision.ops.feature_pyramid_network import (  # type: ignore[import-untyped]
    LastLevelMaxPool,
    LastLevelP6P7,
)

from cnnpipe.errors import ParamsError
from cnnpipe.models.building import FirstWeights, build_seeded, check_choice
from cnnpipe.models.bundle import Decoding
from cnnpipe.models.lite0 import load_lite0_feature_weights
from cnnpipe.models.pyramid import PYRAMID_CHANNELS, Lite0Pyramid

Targets = Sequence[tuple[Tensor, Tensor]]  # per picture: boxes_N4 float32 px, class_index_N int64
Boxes = tuple[Tensor, Tensor, Tensor]  # boxes_N4 px, scores_N in [0, 1], class_index_N; the best score first

_COARSEST_STRIDE: Final = 32  # of a feature extractor; a side that it divides keeps all maps in step
_HEAD_CONVOLUTIONS: Final = 2  # of each branch of fcos-lite0's head
_FIRST_DISTANCE: Final = 2.0  # strides from a point to each side of its box, before training
_HEAD_WIDTH: Final = 256  # of fasterrcnn-lite0's box head

# torchvision's names of what a loss is made of -> ours
_LOSS_PARTS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "classification": "classification",
        "bbox_regression": "box",
        "bbox_ctrness": "centredness",
        "loss_classifier": "classification",
        "loss_box_reg": "box",
        "loss_objectness": "objectness",
        "loss_rpn_box_reg": "proposal_box",
    }
)


class DetectorShape(msgspec.Struct, frozen=True, kw_only=True):
    """The two ends of a detector. Input: B x channels x side_px x side_px; output: boxes of each class."""

    num_classes: int  # without a background
    channels: int  # 1 or 3
    side_px: int  # a multiple of 32
    decoding: Decoding


class DetectorNetwork(nn.Module):
    """One of torchvision's detectors behind cnnpipe's pictures and classes.

    Args:
        detector: of torchvision.
        first_label: torchvision's label of class 0: 1 where a background is counted, else 0.
    """

    def __init__(self, detector: nn.Module, *, first_label: int) -> None:
        super().__init__()
        detector.transform = _PicturesAsTheyCome()
        self.detector = detector
        self._first_label = first_label

    def forward(
        self, pictures_BCSS: Tensor, targets: Targets | None = None
    ) -> dict[str, Tensor] | list[Boxes]:
        """Return the parts of the loss in training mode, else what is found in each picture.

        Args:
            pictures_BCSS: normalised pictures on the square of the network.
            targets: one per picture, on the same device; N may be 0. Needed in training mode.

        Returns:
            In training mode: part -> scalar, of which the loss is the sum. In evaluation mode: per picture
            boxes_N4 of positive area in pixels of the square, scores_N and class_index_N, the best first.
        """
        if self.training:
            found: dict[str, Tensor] = self.detector(pictures_BCSS, self._with_labels(targets or []))
            return {_LOSS_PARTS[name]: part for name, part in found.items()}
        return [self._boxes(each) for each in self.detector(pictures_BCSS)]

    def _with_labels(self, targets: Targets) -> list[dict[str, Tensor]]:
        first = self._first_label
        return [{"boxes": boxes, "labels": class_index + first} for boxes, class_index in targets]

    def _boxes(self, found: Mapping[str, Tensor]) -> Boxes:
        boxes_N4 = found["boxes"]
        has_area_N = (boxes_N4[:, 2:] > boxes_N4[:, :2]).all(dim=1)  # clipping may leave none
        return (
            boxes_N4[has_area_N],
            found["scores"][has_area_N],
            found["labels"][has_area_N] - self._first_label,
        )


class _PicturesAsTheyCome(nn.Module):
    """Stands for torchvision's `GeneralizedRCNNTransform`, which would scale and normalise once more."""

    def forward(
        self, pictures_BCSS: Tensor, targets: list[dict[str, Tensor]] | None
    ) -> tuple[ImageList, list[dict[str, Tensor]] | None]:
        height, width = pictures_BCSS.shape[-2:]
        return ImageList(pictures_BCSS, [(height, width)] * len(pictures_BCSS)), targets

    def postprocess(
        self, found: list[dict[str, Tensor]], _sizes: object, _original_sizes: object
    ) -> list[dict[str, Tensor]]:
        """Return the boxes where they are: on the square."""
        return found


class _CoarseMaps(LastLevelP6P7):  # type: ignore[misc]  # as above
    """The maps at strides 64 and 128, in float32 always.

    They have few cells, or one: on CPUs, gradients of such a convolution in bfloat16 hold what was in memory.
    """

    def forward(self, p: list[Tensor], c: list[Tensor], names: list[str]) -> tuple[list[Tensor], list[str]]:
        """Return the maps with the two above them, and their names."""
        with torch.autocast(p[-1].device.type, enabled=False):
            found: tuple[list[Tensor], list[str]] = super().forward(
                [each.float() for each in p], [each.float() for each in c], names
            )
        return found


def _fcos_lite0(shape: DetectorShape) -> nn.Module:
    """Return FCOS on lite0's pyramid: a box and a class for every point of five maps, at strides 8 to 128.

    Each branch of its head has two convolutions instead of four: less to compute, and less to learn from
    a few hundred pictures.

    Source: Tian et al. 2022, FCOS: A simple and strong anchor-free object detector, section 3; torchvision,
    `FCOS`.
    """
    above = _CoarseMaps(PYRAMID_CHANNELS, PYRAMID_CHANNELS)
    detector = FCOS(
        Lite0Pyramid(shape.channels, above),
        num_classes=shape.num_classes,
        head=FCOSHead(PYRAMID_CHANNELS, 1, shape.num_classes, num_convs=_HEAD_CONVOLUTIONS),
        score_thresh=shape.decoding.score_floor,
        nms_thresh=shape.decoding.nms_iou,
        detections_per_img=shape.decoding.max_detections,
    )
    # torchvision starts at 0 and cuts off below it: half of all distances begin without a gradient, and on a
    # few dozen pictures a training often never gets away from boxes without extent
    nn.init.constant_(detector.head.regression_head.bbox_reg.bias, _FIRST_DISTANCE)
    return DetectorNetwork(detector, first_label=0)


def _fasterrcnn_lite0(shape: DetectorShape) -> nn.Module:
    """Return Faster R-CNN on lite0's pyramid, sized for squares of about 192 px and for CPUs.

    Anchors have sides of 2 and 3 strides: 16 to 192 px over four maps. The box head is a quarter as wide as
    torchvision's and learns from 64 proposals per picture, as in Fast R-CNN; it would take most of the time.

    Source: Ren et al. 2016, Faster R-CNN, section 3; Lin et al. 2017, section 4; torchvision, `FasterRCNN`.
    """
    strides = (8, 16, 32, 64)
    anchors = AnchorGenerator(
        sizes=tuple((2 * stride, 3 * stride) for stride in strides),
        aspect_ratios=((0.5, 1.0, 2.0),) * len(strides),
    )
    pool = MultiScaleRoIAlign(featmap_names=["0", "1", "2"], output_size=7, sampling_ratio=2)
    detector = FasterRCNN(
        Lite0Pyramid(shape.channels, LastLevelMaxPool()),
        rpn_anchor_generator=anchors,
        rpn_pre_nms_top_n_train=500,
        rpn_post_nms_top_n_train=500,
        rpn_pre_nms_top_n_test=500,
        box_roi_pool=pool,
        box_head=TwoMLPHead(PYRAMID_CHANNELS * 7 * 7, _HEAD_WIDTH),
        box_predictor=FastRCNNPredictor(_HEAD_WIDTH, shape.num_classes + 1),
        box_batch_size_per_image=64,
        **_proposals(300, shape.decoding),
        **_box_decoding(shape.decoding),
    )
    return DetectorNetwork(detector, first_label=1)


def _fasterrcnn_mobilenet(shape: DetectorShape) -> nn.Module:
    """Return torchvision's Faster R-CNN on MobileNetV3-Large with all its layers trainable.

    Source: torchvision, `fasterrcnn_mobilenet_v3_large_320_fpn`.
    """
    detector = fasterrcnn_mobilenet_v3_large_320_fpn(
        weights=None,
        weights_backbone=None,  # neither is downloaded
        num_classes=shape.num_classes + 1,
        **_proposals(150, shape.decoding),
        **_box_decoding(shape.decoding),
    )
    if shape.channels != 3:
        detector.backbone.body["0"][0] = _first_convolution(shape.channels)
    return DetectorNetwork(detector, first_label=1)


def _first_convolution(channels: int) -> nn.Conv2d:
    made = nn.Conv2d(channels, 16, kernel_size=3, stride=2, padding=1, bias=False)
    nn.init.kaiming_normal_(made.weight, mode="fan_out")  # as torchvision starts its convolutions
    return made


def _proposals(number: int, decoding: Decoding) -> dict[str, Any]:
    """Return how many proposals of a picture are judged: at least one for each detection wanted."""
    return {
        "rpn_post_nms_top_n_test": max(number, decoding.max_detections),
        # a floor could leave a batch without objects no proposal at all, and the mean over none is no number
        "rpn_score_thresh": 0.0,
    }


def _box_decoding(decoding: Decoding) -> dict[str, Any]:
    return {
        "box_score_thresh": decoding.score_floor,
        "box_nms_thresh": decoding.nms_iou,
        "box_detections_per_img": decoding.max_detections,
    }


# params/experiment.py holds the same names for those who must not import torch
DETECTORS: Final[Mapping[str, Callable[[DetectorShape], nn.Module]]] = MappingProxyType(
    {
        "fcos-lite0": _fcos_lite0,
        "fasterrcnn-lite0": _fasterrcnn_lite0,
        "fasterrcnn_mobilenet_v3_large_320_fpn": _fasterrcnn_mobilenet,
    }
)
IN_PACKAGES: Final = ("fcos-lite0", "fasterrcnn-lite0")


def build_detector(name: str, shape: DetectorShape, *, weights: FirstWeights, seed: int) -> nn.Module:
    """Return the named detector with its first weights, a function of the arguments alone.

    Args:
        name: key of `DETECTORS`.
        shape: sizes at its two ends, and how boxes are decoded.
        weights: package: ImageNet weights from a Python package in the feature extractor; none: random ones.
        seed: of the random weights; torch's own generator is left as it was.

    Raises:
        ParamsError: there is no such detector, no such weights, or the side is no multiple of 32.
    """
    check_choice(name, weights, known=DETECTORS, in_packages=IN_PACKAGES)
    if shape.side_px % _COARSEST_STRIDE:
        below = max(1, shape.side_px // _COARSEST_STRIDE) * _COARSEST_STRIDE
        raise ParamsError(
            "input.side_px",
            f"{shape.side_px} is no multiple of {_COARSEST_STRIDE}, as the maps of a detector need",
            f"set input.side_px: {below} or {below + _COARSEST_STRIDE}",
        )
    network = build_seeded(partial(DETECTORS[name], shape), seed=seed)
    if weights == "package":
        load_lite0_feature_weights(network.get_submodule("detector.backbone.body"))
    return network
