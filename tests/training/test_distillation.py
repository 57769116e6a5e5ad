"""A teacher from its bundle: what it sees, what is learnt from it, and which are refused."""

from pathlib import Path

import numpy as np
import pytest
import torch
from bundles import SIDE_PX, make_bundle, make_view
from hypothesis import given
from hypothesis import strategies as st
from toy_pictures import CROSS_ENTROPY, half, toy_network, toy_pictures

from cnnpipe import files
from cnnpipe.augmentation.preprocess import resize, to_channels
from cnnpipe.errors import ModelError
from cnnpipe.inference.classifier import load_classifier
from cnnpipe.models.bundle import WEIGHTS_FILE
from cnnpipe.params.augmentation import MixParams
from cnnpipe.params.losses import DistillationParams
from cnnpipe.training.classification import Further, classification_objective
from cnnpipe.training.distillation import Teacher, distillation_loss, load_teacher, teacher_logits
from cnnpipe.training.mixing import Mixing, mix_pictures

CPU = torch.device("cpu")
CLASSES = ["boot", "coat", "dress"]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a LeNet for 32 px, RGB, mean 0.5 and standard deviation 0.25."""
    folder = tmp_path_factory.mktemp("teacher")
    make_view(folder / "view", pictures_per_split=1)
    make_bundle(folder / "model", folder / "view")
    return folder / "model"


def params_of(bundle: Path, *, temperature: float = 2.0, share: float = 0.5) -> DistillationParams:
    sha256 = files.sha256_of_file(bundle / WEIGHTS_FILE)
    return DistillationParams(model=str(bundle), weights_sha256=sha256, temperature=temperature, share=share)


@pytest.fixture(scope="module")
def teacher(bundle: Path) -> Teacher:
    return load_teacher(params_of(bundle), CLASSES)


def pictures_of(side: int, channels: int) -> torch.Tensor:
    noise = np.random.default_rng(0).integers(0, 256, (4, side, side, channels), dtype=np.uint8)
    return torch.from_numpy(noise).permute(0, 3, 1, 2)


def test_a_teacher_says_what_it_says_when_it_predicts(bundle: Path, teacher: Teacher) -> None:
    pictures = pictures_of(SIDE_PX, 3)
    found = teacher_logits(teacher, pictures, None, device=CPU)
    with torch.no_grad():
        expected = load_classifier(bundle).network((pictures.float() / 255 - 0.5) / 0.25)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
    assert not found.requires_grad


@pytest.mark.parametrize("side", [16, 40, 64])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_teacher_sees_the_picture_in_its_own_size_and_channels(
    teacher: Teacher, side: int, channels: int
) -> None:
    pictures = pictures_of(side, channels)
    own = [
        resize(to_channels(picture, 3), width=SIDE_PX, height=SIDE_PX)
        for picture in pictures.permute(0, 2, 3, 1).numpy()
    ]
    expected = teacher_logits(teacher, torch.from_numpy(np.stack(own)).permute(0, 3, 1, 2), None, device=CPU)
    found = teacher_logits(teacher, pictures, None, device=CPU)
    # its own are rounded to whole grey levels
    torch.testing.assert_close(found, expected, atol=0.03, rtol=0.03)


def test_a_grey_teacher_sees_grey_by_the_same_weights(teacher: Teacher) -> None:
    grey = Teacher(
        network=torch.nn.Flatten(), normalise=half, side_px=8, channels=1, temperature=1.0, share=1.0
    )
    pictures = pictures_of(8, 3)
    expected = np.stack([to_channels(p, 1) for p in pictures.permute(0, 2, 3, 1).numpy()])
    found = (teacher_logits(grey, pictures, None, device=CPU) * 0.5 + 0.5) * 255
    assert (found - torch.from_numpy(expected).flatten(1)).abs().max() <= 0.51  # ours is not rounded


def test_a_teacher_sees_mixed_pictures_by_the_same_draw(teacher: Teacher) -> None:
    pictures = pictures_of(SIDE_PX, 3)
    for box in (None, (0.25, 0.0, 0.75, 0.5)):
        mixing = Mixing(share=0.3, partner=torch.tensor([2, 3, 1, 0]), box=box)
        mixed = mix_pictures(pictures.float(), mixing)
        with torch.no_grad():
            expected = teacher.network(teacher.normalise(mixed))
        found = teacher_logits(teacher, pictures, mixing, device=CPU)
        torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


@given(st.integers(0, 2**31), st.sampled_from([0.5, 1.0, 4.0]))
def test_the_loss_is_0_where_both_agree_and_above_elsewhere(seed: int, temperature: float) -> None:
    generator = torch.Generator().manual_seed(seed)
    one, other = (3 * torch.randn(5, 4, generator=generator, dtype=torch.float64) for _ in range(2))
    same = distillation_loss(one + 7.0, one, temperature=temperature)  # softmax knows no constant
    torch.testing.assert_close(same, torch.zeros(5, dtype=torch.float64))
    assert (distillation_loss(one, other, temperature=temperature) > 0.0).all()


def test_the_loss_of_one_sample_by_hand() -> None:
    # the teacher says 3 : 1, the student 1 : 1: KL = 0.75 ln 1.5 + 0.25 ln 0.5 = 0.1308
    student, teacher = torch.zeros(1, 2), torch.tensor([[0.75, 0.25]]).log()
    assert distillation_loss(student, teacher, temperature=1.0).item() == pytest.approx(0.1308, abs=5e-5)
    # at T = 2 it says √3 : 1, and the whole counts four times
    p = 3**0.5 / (3**0.5 + 1)
    expected = 4 * (p * np.log(2 * p) + (1 - p) * np.log(2 * (1 - p)))
    assert distillation_loss(student, teacher, temperature=2.0).item() == pytest.approx(expected, abs=1e-6)


def test_labels_and_teacher_share_the_loss() -> None:
    network, batch = toy_network(dropout=0.0), toy_pictures(6, seed=1)
    wise = Teacher(toy_network(seed=8).eval(), half, side_px=16, channels=1, temperature=3.0, share=0.25)
    plain = classification_objective(half, CROSS_ENTROPY).losses(network, batch, CPU)
    parts = classification_objective(half, CROSS_ENTROPY, Further(teacher=wise)).losses(network, batch, CPU)
    torch.testing.assert_close(parts["cross_entropy"], 0.75 * plain["cross_entropy"])
    taught = distillation_loss(
        network(half(batch[0])), teacher_logits(wise, batch[0], None, device=CPU), temperature=3.0
    )
    torch.testing.assert_close(parts["distillation"], 0.25 * taught.mean())
    sum(parts.values(), torch.tensor(0.0)).backward()  # type: ignore[no-untyped-call]
    assert all(parameter.grad is None for parameter in wise.network.parameters())


def test_a_student_becomes_as_its_teacher_where_labels_are_mixed_too() -> None:
    """Learning from the teacher alone brings the student to its scores, whatever the labels say."""
    student, wise_network = toy_network(dropout=0.0), toy_network(seed=8, dropout=0.0)
    wise = Teacher(wise_network.eval().requires_grad_(False), half, 16, 1, temperature=1.0, share=1.0)
    mix = MixParams(mixup_alpha=1.0, cutmix_alpha=1.0, probability=0.5)
    objective = classification_objective(half, CROSS_ENTROPY, Further(teacher=wise, mix=mix))
    optimiser = torch.optim.Adam(student.parameters(), lr=0.003)
    torch.manual_seed(0)
    found = []
    for step in range(60):
        parts = objective.losses(student, toy_pictures(24, seed=step), CPU)
        assert parts["cross_entropy"].item() == 0.0
        optimiser.zero_grad()
        parts["distillation"].backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        found.append(parts["distillation"].item())
    assert sum(found[-10:]) < 0.25 * sum(found[:10])


def test_teachers_that_do_not_fit_are_refused_in_words(bundle: Path) -> None:
    params = params_of(bundle)
    with pytest.raises(
        ModelError, match=r"distillation\.model .*knows the classes boot, coat, dress; the view"
    ):
        load_teacher(params, ["coat", "boot", "dress"])
    other = params.model_copy(update={"weights_sha256": "0" * 64})
    with pytest.raises(ModelError, match=f"SHA-256 {params.weights_sha256}, not that of weights_sha256"):
        load_teacher(other, CLASSES)
    with pytest.raises(ModelError, match=r"teachers/none: there is no such folder\n.*dvc pull"):
        load_teacher(params.model_copy(update={"model": "teachers/none"}), CLASSES)
