"""Mixup and CutMix: what is mixed, how much, and how often."""

from collections import Counter

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from cnnpipe.params.augmentation import MixParams
from cnnpipe.training.losses import labels_of
from cnnpipe.training.mixing import Mixing, draw_mixing, mix_labels, mix_pictures

MIXUP = MixParams(mixup_alpha=0.4, cutmix_alpha=0.0, probability=1.0)
CUTMIX = MixParams(mixup_alpha=0.0, cutmix_alpha=1.0, probability=1.0)
EITHER = MixParams(mixup_alpha=1.0, cutmix_alpha=1.0, probability=0.5)


def draws(params: MixParams, number: int, *, batch_size: int = 4) -> list[Mixing | None]:
    torch.manual_seed(0)
    return [draw_mixing(params, batch_size) for _ in range(number)]


def one_by_one(batch_size: int, side: int) -> Tensor:
    """Return pictures of one colour each, that of their number."""
    return torch.arange(float(batch_size)).view(-1, 1, 1, 1).expand(-1, 3, side, side).contiguous()


@pytest.mark.parametrize("params", [MIXUP, CUTMIX], ids=["mixup", "cutmix"])
@settings(max_examples=50)
@given(seed=st.integers(0, 2**31), batch_size=st.integers(1, 6), side=st.integers(8, 33))
def test_labels_sum_to_1_and_are_shares_of_the_picture(
    params: MixParams, seed: int, batch_size: int, side: int
) -> None:
    torch.manual_seed(seed)
    mixing = draw_mixing(params, batch_size)
    assert mixing is not None
    labels_BK = labels_of(torch.arange(batch_size), num_classes=batch_size)
    mixed_BK = mix_labels(labels_BK, mixing, width=side, height=side)
    torch.testing.assert_close(mixed_BK.sum(dim=1), torch.ones(batch_size))
    # each class is one colour, so the mean of a picture is that of its labels
    means_B = mix_pictures(one_by_one(batch_size, side), mixing).mean(dim=(1, 2, 3))
    torch.testing.assert_close(means_B, mixed_BK @ torch.arange(float(batch_size)), atol=1e-4, rtol=1e-4)


def test_mixup_by_hand() -> None:
    mixing = Mixing(share=0.75, partner=torch.tensor([1, 0]), box=None)
    pictures = torch.tensor([0.0, 4.0]).view(2, 1, 1, 1)
    assert mix_pictures(pictures, mixing).flatten().tolist() == [1.0, 3.0]
    labels = mix_labels(torch.eye(2), mixing, width=1, height=1)
    assert labels.tolist() == [[0.75, 0.25], [0.25, 0.75]]


def test_cutmix_by_hand() -> None:
    mixing = Mixing(share=0.0, partner=torch.tensor([1, 0]), box=(0.5, 0.0, 1.0, 0.5))
    mixed = mix_pictures(one_by_one(2, 4), mixing)[0, 0]
    assert mixed.tolist() == [[0, 0, 1, 1], [0, 0, 1, 1], [0, 0, 0, 0], [0, 0, 0, 0]]
    assert mix_labels(torch.eye(2), mixing, width=4, height=4)[0].tolist() == [0.75, 0.25]


def test_the_share_is_drawn_from_the_beta_distribution() -> None:
    shares = [mixing.share for mixing in draws(MIXUP, 2000) if mixing]
    # variance of Beta(a, a): 1 / (4 (2 a + 1))
    assert torch.tensor(shares).mean().item() == pytest.approx(0.5, abs=0.03)
    assert torch.tensor(shares).var().item() == pytest.approx(1 / (4 * 1.8), abs=0.01)


def test_batches_are_mixed_as_often_as_asked_and_by_both_ways_alike() -> None:
    kinds = Counter(
        "none" if m is None else "mixup" if m.box is None else "cutmix" for m in draws(EITHER, 2000)
    )
    assert kinds["none"] == pytest.approx(1000, abs=80)
    assert kinds["mixup"] == pytest.approx(500, abs=70)
    assert draws(MixParams(mixup_alpha=1.0, cutmix_alpha=1.0, probability=0.0), 20) == [None] * 20
    assert draws(MixParams(mixup_alpha=0.0, cutmix_alpha=0.0, probability=1.0), 20) == [None] * 20


def test_partners_are_a_permutation_and_draws_are_of_torchs_generator() -> None:
    one, other = draws(CUTMIX, 30), draws(CUTMIX, 30)
    for mixing, again in zip(one, other, strict=True):
        assert mixing is not None
        assert again is not None
        assert sorted(mixing.partner.tolist()) == [0, 1, 2, 3]
        assert (mixing.share, mixing.box) == (again.share, again.box)
        assert torch.equal(mixing.partner, again.partner)


def test_pictures_are_not_written_to_and_stay_channels_last() -> None:
    pictures = one_by_one(4, 8).contiguous(memory_format=torch.channels_last)
    before = pictures.clone()
    for params in (MIXUP, CUTMIX):
        for mixing in draws(params, 5):
            assert mixing is not None
            mixed = mix_pictures(pictures, mixing)
            assert mixed.is_contiguous(memory_format=torch.channels_last)
            assert torch.equal(pictures, before)
