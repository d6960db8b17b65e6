"""Where losses meet: what learns, what only follows, what each objective is made of, and that ranks add up to one."""

import math
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor
from torch import multiprocessing as mp

from data_specs.specs.encoder import OBJECTIVES, EncoderSpec
from models.encoder.batch import Crops, ImageBatch, make_crops
from models.encoder.draws import Draws
from models.encoder.ema import ema_update, teacher_of
from models.encoder.objectives import Objective
from models.encoder.parameters import groups
from models.encoder.schedules import cosine, linear, warmup_cosine
from models.encoder.sharding import average, shard, whole

SMALL = {"image_size": 32, "local_size": 16, "head_hidden": 16, "head_out": 8, "prototypes": 8}
SMALL |= {"patch_head_hidden": 16, "patch_head_bottleneck": 8, "text_width": 16, "text_depth": 1, "text_heads": 2}
TEXTS = ("a dog on the beach", "a red car", "two cats", "a tree by the lake")


def spec_with(**settings: object) -> EncoderSpec:
    return EncoderSpec.model_validate(SMALL | settings)


def images(captions: int = 2, copies: int = 3) -> ImageBatch:
    count = captions * copies
    pixels = torch.randint(0, 256, (count, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    caption_I = torch.arange(captions).repeat_interleave(copies)
    return ImageBatch(
        pixels, 11 + caption_I, 100 * torch.arange(count), caption_I % 2, TEXTS[:captions], 11 + torch.arange(captions)
    )


def drawn(shown: ImageBatch, spec: EncoderSpec, seed: int) -> Crops:
    return make_crops(shown, spec, Draws(torch.Generator().manual_seed(seed), len(shown.images_I)))


@pytest.mark.parametrize(
    ("settings", "terms"),
    [
        ({}, {"contrast_global", "contrast_local", "ibot"}),
        ({"local_crops": 0}, {"contrast_global", "ibot"}),
        ({"ibot_weight": 0.0}, {"contrast_global", "contrast_local"}),
        ({"head_norm": "ln", "precision": "bf16"}, {"contrast_global", "contrast_local", "ibot"}),
        ({"objective": "stablerep"}, {"contrast_global"}),
        ({"objective": "stablerep", "ema": True}, {"contrast_global"}),
        ({"objective": "stablerep", "local_crops": 2}, {"contrast_global", "contrast_local"}),
        ({"objective": "stablerep_plus"}, {"contrast_global", "image_text"}),
        ({"objective": "simclr"}, {"contrast_global"}),
        ({"objective": "supervised"}, {"concept"}),
        ({"objective": "clip"}, {"image_text"}),
        (
            {"text_weight": 1.0, "concept_weight": 1.0},
            {"contrast_global", "contrast_local", "ibot", "image_text", "concept"},
        ),
    ],
)
def test_each_objective_and_setting_has_its_terms_and_all_terms_reach_the_student(
    settings: dict[str, object], terms: set[str]
) -> None:
    spec = spec_with(**settings)
    objective = Objective(spec, 2)
    found = objective(drawn(images(), spec, 0), 0.04)
    assert set(found) == terms
    assert {term.dtype for term in found.values()} == {torch.float32}
    torch.stack(list(found.values())).sum().backward()
    trained = {name for name, p in objective.named_parameters() if p.requires_grad}
    idle = {name for name in trained if objective.get_parameter(name).grad is None}
    assert idle <= {"student.backbone.mask_token"}
    assert objective.teacher is None or all(p.grad is None for p in objective.teacher.parameters())
    assert (objective.teacher is None) == (not spec.ema)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"ema": False}, "ibot_weight 1 needs a teacher"),
        ({"images_per_caption": 1}, "images_per_caption must be at least 2"),
        ({"objective": "simclr", "views": 1}, "views must be at least 2"),
        ({"objective": "clip", "local_crops": 2}, "set local_crops to 0"),
        ({"contrast_weight": 0, "ibot_weight": 0, "local_crops": 0}, "every term has weight 0"),
        ({"text_width": 30, "text_heads": 4}, "no multiple of text_heads"),
    ],
)
def test_what_does_not_go_together_is_refused_with_the_way_out(settings: dict[str, object], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        spec_with(**settings)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_an_objective_is_a_set_of_settings_that_can_be_written_down_and_read_again(name: str) -> None:
    spec = EncoderSpec.model_validate({"objective": name})
    assert EncoderSpec.model_validate(spec.model_dump()) == spec
    assert all(getattr(spec, setting) == value for setting, value in OBJECTIVES[name].items())


def test_simclr_is_the_contrast_of_two_crops_of_each_image_against_all_others() -> None:
    """A naive NT-Xent (arXiv 2002.05709, equation 1) over the features that the objective compares."""
    spec = spec_with(objective="simclr", head_norm="ln")
    objective = Objective(spec, 0)
    crops = drawn(images(), spec, 0)
    projector = objective.student.projector
    assert projector is not None
    features = projector(objective.student.backbone(crops.global_N3SS).cls_ND).detach()
    assert len(features) == 12
    losses = []
    for i in range(12):
        scores = [float(torch.cosine_similarity(features[i], features[k], dim=0)) / 0.1 for k in range(12)]
        others = math.log(sum(math.exp(score) for k, score in enumerate(scores) if k != i))
        losses.append(others - scores[(i + 6) % 12])
    assert float(objective(crops, 0.04)["contrast_global"].detach()) == pytest.approx(sum(losses) / 12, rel=1e-4)


def test_positives_are_what_the_recipe_says() -> None:
    shown = images(captions=4, copies=2)
    for positives, classes in [("caption", [11, 11, 12, 12, 13, 13, 14, 14]), ("concept", [0, 0, 1, 1] * 2)]:
        spec = spec_with(objective="stablerep", positives=positives)
        assert drawn(shown, spec, 0).classes_N.tolist() == classes


def test_the_scale_of_image_text_logits_stays_within_its_bounds() -> None:
    objective = Objective(spec_with(objective="clip"), 0)
    assert objective.text is not None
    assert objective.text.logit_scale.exp().item() == pytest.approx(1 / 0.07)
    for far, bound in [(9.0, 100.0), (-9.0, 1.0)]:
        objective.text.logit_scale.data.fill_(far)
        objective.after_step(0.9)
        assert objective.text.logit_scale.exp().item() == pytest.approx(bound)


def test_the_text_tower_reads_no_further_than_the_end_of_the_text() -> None:
    objective = Objective(spec_with(objective="clip", text_context=8), 0)
    assert objective.text is not None
    reader, tower = objective.text.reader, objective.text.tower
    tokens = reader.tokens(["a dog", "a dog on the beach under a very old tree by the lake"])
    assert tokens.shape == (2, 8)
    assert (tokens == reader.end).any(1).all(), "a long caption also ends"
    after = tokens.clone()
    after[0, int((tokens[0] == reader.end).int().argmax()) + 1 :] = 5
    assert torch.allclose(tower(tokens, reader.end)[0], tower(after, reader.end)[0])


def test_the_teacher_follows_parameters_and_is_never_trained() -> None:
    student = torch.nn.Linear(2, 2)
    teacher = teacher_of(student)
    before = teacher.weight.clone()
    with torch.no_grad():
        student.weight += 1.0
    ema_update(teacher, student, 0.75)
    assert torch.allclose(teacher.weight, before + 0.25)
    assert not teacher.weight.requires_grad


def test_vectors_do_not_decay_and_positions_do() -> None:
    objective = Objective(spec_with(), 2)
    assert objective.teacher is not None
    decay, no_decay, _ = groups(objective)
    ids = {id(parameter) for parameter in decay["params"]}
    assert id(objective.student.backbone.positions) in ids
    assert {parameter.ndim for parameter in no_decay["params"]} == {1}
    assert not ids & {id(parameter) for parameter in objective.teacher.parameters()}


def test_crops_follow_from_the_generator_alone_and_half_of_the_images_lose_half_of_their_patches() -> None:
    spec = spec_with(patch_size=8)
    first, again = (drawn(images(), spec, 4) for _ in range(2))
    assert torch.equal(first.global_N3SS, again.global_N3SS)
    assert torch.equal(first.local_M3SS, again.local_M3SS)
    assert sorted(first.masks_NP.sum(1).tolist()) == [0, 0, 0, 8, 8, 8]
    assert first.local_classes_M.tolist() == [11, 11, 11, 12, 12, 12] * 2


def test_schedules_begin_and_end_where_they_should() -> None:
    assert [linear(step, 4, 0.0, 1.0) for step in (0, 2, 4, 9)] == [0.0, 0.5, 1.0, 1.0]
    assert [cosine(step, 10, 0.994, 1.0) for step in (0, 5, 10)] == pytest.approx([0.994, 0.997, 1.0])
    rates = [warmup_cosine(step, 10, 1.0, 4) for step in range(11)]
    assert rates[:5] == [0.25, 0.5, 0.75, 1.0, 1.0]
    assert rates[10] == pytest.approx(0.0)
    assert rates[4:] == sorted(rates[4:], reverse=True)


OF_RANKS: dict[str, dict[str, Any]] = {name: {"objective": name} for name in OBJECTIVES}
OF_RANKS |= {"layer norm and dropped paths": {"head_norm": "ln", "drop_path": 0.3}}


def learned(name: str, rank: int, world: int, *, sharded: bool = False) -> dict[str, Tensor]:
    """Terms and gradients of one objective on this rank's share of a batch, in float64; sharded ones are put together."""
    spec = spec_with(**OF_RANKS[name])
    torch.manual_seed(5)
    objective = Objective(spec, 2).double()
    if sharded:
        shard(objective, "cpu")
    shown = images(captions=4, copies=2)
    mine, captions = (
        slice(8 // world * rank, 8 // world * (rank + 1)),
        slice(4 // world * rank, 4 // world * (rank + 1)),
    )
    part = ImageBatch(
        shown.pixels_I3SS[mine],
        shown.captions_I[mine],
        shown.images_I[mine],
        shown.concepts_I[mine],
        shown.texts[captions],
        shown.captions_C[captions],
    )
    draws = Draws(torch.Generator().manual_seed(1), len(part.images_I), rank, world)
    crops = make_crops(part, spec, draws)
    crops = replace(crops, global_N3SS=crops.global_N3SS.double(), local_M3SS=crops.local_M3SS.double())
    terms = objective(crops, 0.04, draws)
    torch.stack(list(terms.values())).sum().backward()
    if sharded:
        average(objective.parameters())
    gradients = {n: whole(p.grad) for n, p in objective.named_parameters() if p.grad is not None}
    return {f"term {n}": term.detach() for n, term in terms.items()} | gradients


def on_rank(rank: int, folder: str) -> None:
    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2)
    found = {name: learned(name, rank, 2) for name in OF_RANKS}
    found |= {f"sharded {name}": learned(name, rank, 2, sharded=True) for name in OF_RANKS}
    torch.save(found, f"{folder}/{rank}.pt")
    torch.distributed.destroy_process_group()
    os._exit(0)  # as tasks/encoder/ranks.py does, and why


@pytest.fixture(scope="module")
def two_ranks(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, dict[str, Tensor]]]:
    folder: Path = tmp_path_factory.mktemp("ranks")
    mp.spawn(on_rank, args=(str(folder),), nprocs=2)  # type: ignore[no-untyped-call]
    return [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in (0, 1)]


@pytest.mark.parametrize("way", ["", "sharded "])
@pytest.mark.parametrize("name", OF_RANKS)
def test_terms_and_gradients_of_two_ranks_average_to_those_of_one(
    name: str, way: str, two_ranks: list[dict[str, dict[str, Tensor]]]
) -> None:
    alone, (first, second) = learned(name, 0, 1), (rank[way + name] for rank in two_ranks)
    assert alone.keys() == first.keys() == second.keys()
    for part, value in alone.items():
        assert torch.allclose((first[part] + second[part]) / 2, value, rtol=1e-8, atol=1e-10), part
