"""Two pictures of a batch become one, and so do their labels.

Legend: B batch, C channels, H W pixels, K classes.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.distributions import Beta

from cnnpipe.params.augmentation import MixParams


@dataclass(frozen=True)
class Mixing:
    """How a batch is mixed: each picture with the one that `partner` names, over its whole area or a part.

    The draw is apart from what is mixed, so that a teacher's pictures, of another size and normalisation, are
    mixed as the student's are.
    """

    share: float  # of the picture itself, in [0, 1]; mixup's λ
    partner: Tensor  # (B,) int64, on the CPU
    box: (
        tuple[float, float, float, float] | None
    )  # CutMix: what the partner fills, xyxy in shares of the sides


def draw_mixing(params: MixParams, batch_size: int) -> Mixing | None:
    """Return how a batch is to be mixed, or None; drawn from torch's default generator on the CPU.

    λ is drawn from Beta(α, α), once for the batch. CutMix fills a box of (1 - λ) of the area, its proportions
    those of the picture, its middle anywhere; what hangs over the edge is cut off, and λ is what is left.

    Args:
        params: α of both, and how often a batch is mixed.
        batch_size: B; pictures are mixed with those of the same batch.

    Source: Zhang et al. 2018, mixup, section 2; Yun et al. 2019, CutMix, section 3.1 and appendix A.
    """
    alphas = [alpha for alpha in (params.mixup_alpha, params.cutmix_alpha) if alpha > 0.0]
    # all draws are taken, whatever comes of them: what follows in the generator's stream depends on no draw
    is_mixed, which, middle_x, middle_y = torch.rand(4, dtype=torch.float64).tolist()
    partner = torch.randperm(batch_size)
    if not alphas or is_mixed >= params.probability:
        return None
    is_cutmix = params.mixup_alpha == 0.0 or (params.cutmix_alpha > 0.0 and which < 1.0 / len(alphas))
    alpha = params.cutmix_alpha if is_cutmix else params.mixup_alpha
    share = float(Beta(torch.tensor(alpha, dtype=torch.float64), alpha).sample())
    if not is_cutmix:
        return Mixing(share=share, partner=partner, box=None)
    half_side = (1.0 - share) ** 0.5 / 2.0
    corners = (middle_x - half_side, middle_y - half_side, middle_x + half_side, middle_y + half_side)
    return Mixing(share=share, partner=partner, box=tuple(min(max(c, 0.0), 1.0) for c in corners))


def mix_pictures(pictures_BCHW: Tensor, mixing: Mixing) -> Tensor:
    """Return each picture with its partner's: λ x + (1 - λ) x', or x' within the box. Floating point."""
    others_BCHW = pictures_BCHW[mixing.partner.to(pictures_BCHW.device)]
    if mixing.box is None:
        return torch.lerp(others_BCHW, pictures_BCHW, mixing.share)
    height, width = pictures_BCHW.shape[2:]
    left, top, right, bottom = _pixels(mixing.box, width=width, height=height)
    mixed_BCHW = pictures_BCHW.clone()
    mixed_BCHW[:, :, top:bottom, left:right] = others_BCHW[:, :, top:bottom, left:right]
    return mixed_BCHW


def mix_labels(labels_BK: Tensor, mixing: Mixing, *, width: int, height: int) -> Tensor:
    """Return each label with its partner's, in the shares of the picture's area in whole pixels.

    Args:
        labels_BK: rows sum to 1, and still do.
        mixing: as the pictures are mixed.
        width: of the pictures, pixels.
        height: of the pictures, pixels.
    """
    share = mixing.share
    if mixing.box is not None:
        left, top, right, bottom = _pixels(mixing.box, width=width, height=height)
        share = 1.0 - (right - left) * (bottom - top) / (width * height)
    return torch.lerp(labels_BK[mixing.partner.to(labels_BK.device)], labels_BK, share)


def _pixels(box: tuple[float, float, float, float], *, width: int, height: int) -> tuple[int, int, int, int]:
    left, top, right, bottom = box
    return round(left * width), round(top * height), round(right * width), round(bottom * height)
