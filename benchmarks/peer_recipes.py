"""Classifiers trained as torchvision's and timm's own scripts do it, in plain loops, an epoch at a time.

Both read pictures that are decoded in memory; batches are made by torch's DataLoader with its default
collation, and no checkpoint is written nor anything logged. Memory format and optimiser are torch's defaults.

torchvision: references/classification/train.py with its defaults: SGD, rate 0.1 for a batch of 256 (8 GPUs of
32) in proportion to the batch, momentum 0.9, weight decay 1e-4 on everything, cross entropy, no warm-up;
StepLR, which divides the rate by 10 after each third of the training (30 of 90 epochs), or what the script
calls cosineannealinglr. Train: RandomResizedCrop with its defaults, RandomHorizontalFlip; val: the middle 224
of 256 parts. By torchvision.transforms.v2 on PIL pictures.

timm: train.py with AdamW: rate 1e-3 for a batch of 512, times the square root of the batch's share of that,
which is what the script does for Adam's kin; weight decay 0.05 but for biases and normalisation; cosine per
step after one epoch of warm-up from 1e-5 (the script's 5 of 300 epochs would be none here); label smoothing
0.1. Train: timm.data.create_transform with the script's defaults (RandomResizedCrop of 8 % of the area at
least, bilinear or bicubic at random, flip, colour jitter 0.4); val: the middle 87.5 %. Its script leaves the
last, smaller batch out; here it is trained on, so that all see equally many pictures.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, Literal

import torch
from PIL import Image
from timm.data.transforms_factory import create_transform
from timm.loss.cross_entropy import LabelSmoothingCrossEntropy
from timm.optim import create_optimizer_v2  # type: ignore[attr-defined]  # exported without __all__
from timm.scheduler.scheduler_factory import create_scheduler_v2
from torch import Tensor, nn
from torch.optim.lr_scheduler import CosineAnnealingLR, LRScheduler, StepLR
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import v2  # type: ignore[import-untyped]  # it carries no types

from cnnpipe.annotations import Split
from cnnpipe.datasets.packs import OpenView, picture_at, positions_of
from cnnpipe.datasets.records import Sample
from cnnpipe.seeding import seed_of

Transform = Callable[[Image.Image], Tensor]
Schedule = Literal["steplr", "cosineannealinglr"]  # of torchvision's script

NUM_STEPS: Final = 3  # of StepLR: 30 of 90 epochs each


@dataclass(frozen=True)
class Terms:
    """What all sides have alike."""

    side_px: int
    epochs: int
    batch_size: int
    seed: int
    num_workers: int
    mean: Sequence[float]  # that pictures are normalised by
    std: Sequence[float]


@dataclass(frozen=True)
class Peer:
    """One training by a peer's recipe."""

    network: nn.Module
    optimiser: torch.optim.Optimizer
    criterion: nn.Module
    train: DataLoader[tuple[Tensor, Tensor]]
    val: DataLoader[tuple[Tensor, Tensor]]
    test: DataLoader[tuple[Tensor, Tensor]]
    after_step: Callable[[int], object]  # told how many steps were taken in all
    after_epoch: Callable[[], object]


class DecodedPictures(Dataset[tuple[Tensor, int]]):
    """A split of a view as PIL pictures in memory."""

    def __init__(self, opened: OpenView[Sample], split: Split, transform: Transform) -> None:
        positions = positions_of(opened, split)
        self._pictures = [Image.fromarray(picture_at(opened, position).copy()) for position in positions]
        self._class_index = [opened.samples[position].class_index for position in positions]
        self._transform = transform

    def __len__(self) -> int:
        return len(self._pictures)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        """Return one picture (C, H, W) as the network sees it, and its class."""
        return self._transform(self._pictures[index]), self._class_index[index]


def torchvision_peer(
    network: nn.Module, opened: OpenView[Sample], terms: Terms, schedule: Schedule = "steplr"
) -> Peer:
    """Return the training by torchvision's recipe."""
    rate = 0.1 * terms.batch_size / 256
    optimiser = torch.optim.SGD(network.parameters(), lr=rate, momentum=0.9, weight_decay=1e-4)
    scheduler = torchvision_scheduler(optimiser, terms.epochs, schedule)
    normal = [
        v2.PILToTensor(),
        v2.ToDtype(torch.float, scale=True),
        v2.Normalize(terms.mean, terms.std),
        v2.ToPureTensor(),
    ]
    train = v2.Compose(
        [v2.RandomResizedCrop(terms.side_px, antialias=True), v2.RandomHorizontalFlip(), *normal]
    )
    whole_px = round(terms.side_px * 256 / 224)
    judged = v2.Compose([v2.Resize(whole_px, antialias=True), v2.CenterCrop(terms.side_px), *normal])
    loaders = _loaders(opened, terms, train, judged)
    criterion = nn.CrossEntropyLoss()
    return Peer(network, optimiser, criterion, *loaders, lambda _: None, scheduler.step)


def torchvision_scheduler(optimiser: torch.optim.Optimizer, epochs: int, schedule: Schedule) -> LRScheduler:
    """Return the scheduler that is stepped after each epoch."""
    if schedule == "cosineannealinglr":
        return CosineAnnealingLR(optimiser, T_max=epochs)
    return StepLR(optimiser, step_size=max(1, round(epochs / NUM_STEPS)), gamma=0.1)


def timm_peer(network: nn.Module, opened: OpenView[Sample], terms: Terms) -> Peer:
    """Return the training by timm's recipe."""
    rate = 1e-3 * (terms.batch_size / 512) ** 0.5
    optimiser = create_optimizer_v2(network, opt="adamw", lr=rate, weight_decay=0.05)
    normal: dict[str, Any] = {"mean": tuple(terms.mean), "std": tuple(terms.std)}
    train = create_transform(
        terms.side_px, is_training=True, color_jitter=0.4, hflip=0.5, interpolation="random", **normal
    )
    judged = create_transform(terms.side_px, is_training=False, **normal)
    loaders = _loaders(opened, terms, train, judged)
    scheduler, _ = create_scheduler_v2(
        optimiser,
        sched="cosine",
        num_epochs=terms.epochs,
        warmup_epochs=1,
        warmup_lr=1e-5,
        step_on_epochs=False,
        updates_per_epoch=len(loaders[0]),
    )
    if scheduler is None:
        raise RuntimeError("timm has made no scheduler")
    criterion = LabelSmoothingCrossEntropy(smoothing=0.1)  # type: ignore[no-untyped-call]  # timm's has no types
    return Peer(network, optimiser, criterion, *loaders, scheduler.step_update, lambda: None)


def train_epoch(peer: Peer, epoch: int, *, seed: int) -> float:
    """Take one step per batch of the epoch, counted from 1; return its mean loss over the batches."""
    before = (epoch - 1) * len(peer.train)
    total = torch.zeros(())
    with _as_torch_is(seed_of(seed, "peer", epoch)):
        peer.network.train()
        for number, (pictures, targets) in enumerate(peer.train, start=1):
            loss = peer.criterion(peer.network(pictures), targets)
            peer.optimiser.zero_grad()
            loss.backward()
            peer.optimiser.step()
            peer.after_step(before + number)
            total += loss.detach()
        peer.after_epoch()
    return float(total) / len(peer.train)


@torch.inference_mode()
def accuracy_of(network: nn.Module, batches: DataLoader[tuple[Tensor, Tensor]]) -> float:
    """Return the share of pictures whose class is the network's first choice."""
    network.eval()
    right = [network(pictures).argmax(dim=1) == targets for pictures, targets in batches]
    return float(torch.cat(right).double().mean())


@contextmanager
def _as_torch_is(seed: int) -> Iterator[None]:
    """Let torch choose its algorithms freely, as in a script, with random numbers of the peer's own."""
    was_deterministic = torch.are_deterministic_algorithms_enabled()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        torch.use_deterministic_algorithms(False)
        try:
            yield
        finally:
            torch.use_deterministic_algorithms(was_deterministic)


def _loaders(
    opened: OpenView[Sample], terms: Terms, train: Transform, judged: Transform
) -> tuple[DataLoader[Any], DataLoader[Any], DataLoader[Any]]:
    """Return the loaders of train, val and test."""
    in_train = DecodedPictures(opened, "train", train)
    has_single = len(in_train) % terms.batch_size == 1  # which batch norm refuses
    shared: dict[str, Any] = {
        "batch_size": terms.batch_size,
        "num_workers": terms.num_workers,
        "persistent_workers": terms.num_workers > 0,
        "multiprocessing_context": "fork" if terms.num_workers > 0 else None,
    }
    generator = torch.Generator().manual_seed(seed_of(terms.seed, "peer"))
    loader: DataLoader[Any] = DataLoader(
        in_train, shuffle=True, drop_last=has_single, generator=generator, **shared
    )
    val, test = (
        DataLoader(DecodedPictures(opened, split, judged), generator=torch.Generator(), **shared)
        for split in ("val", "test")
    )
    return loader, val, test
