"""Where losses meet: what learns, what only follows, and what each knob adds."""

import pytest
import torch

from data_specs.run import EncoderSpec
from models.encoder.batch import Pictures, cut
from models.encoder.momentum import follow, teacher_of
from models.encoder.objectives import build_objective
from models.encoder.parameters import groups
from models.encoder.schedules import cosine, linear, warmup_cosine

SMALL = {"image_size": 32, "local_size": 16, "head_hidden": 16, "head_out": 8, "prototypes": 8}


def spec_with(**knobs: object) -> EncoderSpec:
    return EncoderSpec.model_validate(SMALL | {"patch_head_hidden": 16, "patch_head_bottleneck": 8} | knobs)


def pictures() -> Pictures:
    pixels = torch.randint(0, 256, (6, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    return Pictures(pixels, torch.tensor([1, 1, 1, 2, 2, 2]), torch.arange(6))


@pytest.mark.parametrize(
    ("knobs", "terms"),
    [
        ({}, {"contrast_global", "contrast_local", "ibot"}),
        ({"local_crops": 0}, {"contrast_global", "ibot"}),
        ({"ibot_weight": 0.0}, {"contrast_global", "contrast_local"}),
        ({"head_norm": "ln", "precision": "bf16"}, {"contrast_global", "contrast_local", "ibot"}),
    ],
)
def test_each_knob_adds_its_term_and_all_terms_reach_the_student(knobs: dict[str, object], terms: set[str]) -> None:
    spec = spec_with(**knobs)
    objective = build_objective(spec)
    found = objective(cut(pictures(), spec, torch.Generator().manual_seed(0)), 0.04)
    assert set(found) == terms
    assert {term.dtype for term in found.values()} == {torch.float32}
    torch.stack(list(found.values())).sum().backward()
    assert all(p.grad is not None for p in objective.student.backbone.blocks.parameters())
    assert all(p.grad is None for p in objective.teacher.parameters())


def test_the_teacher_follows_parameters_and_is_never_trained() -> None:
    student = torch.nn.Linear(2, 2)
    teacher = teacher_of(student)
    before = teacher.weight.clone()
    with torch.no_grad():
        student.weight += 1.0
    follow(teacher, student, 0.75)
    assert torch.allclose(teacher.weight, before + 0.25)
    assert not teacher.weight.requires_grad


def test_vectors_do_not_decay_and_positions_do() -> None:
    objective = build_objective(spec_with())
    decay, no_decay = groups(objective)
    ids = {id(parameter) for parameter in decay["params"]}
    assert id(objective.student.backbone.positions) in ids
    assert {parameter.ndim for parameter in no_decay["params"]} == {1}
    assert not ids & {id(parameter) for parameter in objective.teacher.parameters()}


def test_crops_follow_from_the_generator_alone_and_half_of_the_pictures_lose_half_of_their_patches() -> None:
    spec = spec_with(patch_size=8)
    first, again = (cut(pictures(), spec, torch.Generator().manual_seed(4)) for _ in range(2))
    assert torch.equal(first.global_N3SS, again.global_N3SS)
    assert torch.equal(first.local_M3SS, again.local_M3SS)
    assert sorted(first.masks_NP.sum(1).tolist()) == [0, 0, 0, 8, 8, 8]
    assert first.local_classes_M.tolist() == [1, 1, 1, 2, 2, 2] * 2


def test_schedules_begin_and_end_where_they_should() -> None:
    assert [linear(step, 4, 0.0, 1.0) for step in (0, 2, 4, 9)] == [0.0, 0.5, 1.0, 1.0]
    assert [cosine(step, 10, 0.994, 1.0) for step in (0, 5, 10)] == pytest.approx([0.994, 0.997, 1.0])
    rates = [warmup_cosine(step, 10, 1.0, 4) for step in range(11)]
    assert rates[:5] == [0.25, 0.5, 0.75, 1.0, 1.0]
    assert rates[10] == pytest.approx(0.0)
    assert rates[4:] == sorted(rates[4:], reverse=True)
