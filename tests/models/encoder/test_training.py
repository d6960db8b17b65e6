"""What one step of a training does: its schedules, its own random numbers, decay, clipping, accumulated batches, the export."""

import math

import pytest
import torch

from data_specs.ids import seed_of
from data_specs.specs.encoder import EncoderSpec
from models.encoder.batch import ImageBatch, make_crops
from models.encoder.draws import Draws
from models.encoder.training import EncoderTraining, schedules

SMALL = {"image_size": 32, "local_size": 16, "head_hidden": 16, "head_out": 8, "prototypes": 8, "local_crops": 1}
SMALL |= {"patch_head_hidden": 16, "patch_head_bottleneck": 8, "steps": 10, "warmup_steps": 2}


def spec_with(**settings: object) -> EncoderSpec:
    return EncoderSpec.model_validate(SMALL | settings)


def images(number: int = 0) -> ImageBatch:
    """Three captions with two images each."""
    generator = torch.Generator().manual_seed(number)
    pixels = torch.randint(0, 256, (6, 3, 32, 32), dtype=torch.uint8, generator=generator)
    captions_I = torch.arange(3).repeat_interleave(2)
    return ImageBatch(pixels, captions_I, 100 * torch.arange(6), captions_I, ("a", "b", "c"), torch.arange(3))


def norm_of_first_moments(training: EncoderTraining) -> float:
    """After the first step they are the gradient as it was used, times 1 - beta."""
    moments = [state["exp_avg"] for state in training.optimizer.state.values()]
    return math.sqrt(sum(float(moment.square().sum()) for moment in moments))


def test_settings_of_a_step_follow_the_recipe_from_its_first_value_to_its_last() -> None:
    spec = spec_with(lr=0.5, weight_decay=(0.04, 0.2), ema_momentum=0.9, teacher_temperature=(0.04, 0.07))
    first, warm, last = (schedules(spec, step) for step in (0, 2, 10))
    assert (first.lr, warm.lr, last.lr) == pytest.approx((0.25, 0.5, 0.0))
    assert (first.weight_decay, last.weight_decay) == pytest.approx((0.04, 0.2))
    assert (first.momentum, last.momentum) == pytest.approx((0.9, 1.0))
    short = schedules(spec.model_copy(update={"teacher_temperature_steps": 4}), 4)
    assert (first.teacher_temperature, short.teacher_temperature) == (0.04, 0.07)


def test_what_is_no_matrix_never_decays() -> None:
    training = EncoderTraining(spec_with(weight_decay=(0.3, 0.3), objective="stablerep_plus"), 0)
    training.advance([images()])
    decays = {group["name"]: group["weight_decay"] for group in training.optimizer.param_groups}
    assert decays == {"decay": 0.3, "no_decay": 0.0, "scalars": 0.0}


def test_every_step_and_every_seed_draws_crops_of_its_own() -> None:
    """With a learning rate at which nothing is learned, terms differ by the crops alone."""
    spec = spec_with(lr=1e-12, warmup_steps=0)
    training = EncoderTraining(spec, 0)
    first, second = (training.advance([images()]).terms for _ in range(2))
    assert second != pytest.approx(first, rel=1e-3)
    again = EncoderTraining(spec, 0)
    assert [again.advance([images()]).terms for _ in range(2)] == [first, second]
    assert EncoderTraining(spec, 1).advance([images()]).terms != pytest.approx(first, rel=1e-3)


@pytest.mark.parametrize("most", [0.01, None])
def test_a_gradient_is_clipped_to_what_the_recipe_says(most: float | None) -> None:
    spec = spec_with(clip_gradient=most)
    training = EncoderTraining(spec, 0)
    before = training.advance([images()]).gradient
    assert before > 0.1
    assert norm_of_first_moments(training) == pytest.approx((1 - spec.betas[0]) * (most or before), rel=1e-3)


def test_the_gradient_of_accumulated_batches_is_the_mean_of_theirs() -> None:
    spec, parts = spec_with(clip_gradient=None, accumulate=2), [images(0), images(1)]
    objective = EncoderTraining(spec, 5).objective.train()
    for number, part in enumerate(parts):
        generator = torch.Generator().manual_seed(seed_of("encoder", "step", 5, 0, number))
        draws = Draws(generator, len(part.images_I))
        terms = objective(make_crops(part, spec, draws), spec.teacher_temperature[0], draws)
        (sum(terms.values()) / 2).backward()
    expected = torch.nn.utils.get_total_norm([p.grad for p in objective.parameters() if p.grad is not None])
    report = EncoderTraining(spec, 5).advance(parts)
    assert report.gradient == pytest.approx(float(expected), rel=1e-4)


@pytest.mark.parametrize(
    ("settings", "exported"),
    [({}, "teacher"), ({"export": "student"}, "student"), ({"objective": "stablerep"}, "student")],
)
def test_the_recipe_says_whose_weights_are_exported(settings: dict[str, str], exported: str) -> None:
    training = EncoderTraining(spec_with(**{"local_crops": 0} | settings), 0)
    training.advance([images()])
    tower = getattr(training.objective, exported)
    assert training.exported() is tower.backbone


def test_muon_goes_on_from_a_checkpoint_as_if_nothing_had_been_between() -> None:
    spec = spec_with(optimizer="muon")
    through, first = EncoderTraining(spec, 0), EncoderTraining(spec, 0)
    for _ in range(2):
        through.advance([images()])
        first.advance([images()])
    second = EncoderTraining(spec, 0)
    second.restore(first.tensors(), 2)
    assert second.advance([images()]).terms == through.advance([images()]).terms
    one, other = through.tensors(), second.tensors()
    assert one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def test_muon_moves_a_matrix_alike_in_all_directions_and_a_bias_as_adamw_does() -> None:
    moved = {}
    for optimizer in ("muon", "adamw"):
        training = EncoderTraining(spec_with(optimizer=optimizer, warmup_steps=0, weight_decay=(0.0, 0.0)), 0)
        layer = training.objective.student.backbone.blocks[0].fc1
        before = layer.weight.detach().clone()
        training.advance([images()])
        moved[optimizer] = torch.linalg.svdvals(layer.weight.detach() - before)
    # Six images and their crops give a gradient of some 30 directions of 128.
    assert float(moved["muon"][0] / moved["muon"][16]) < 1.5 < float(moved["adamw"][0] / moved["adamw"][16])
