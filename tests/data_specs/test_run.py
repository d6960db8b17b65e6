"""A recipe that cannot be walked is refused with the knob's name; defaults and the shipped recipes can."""

import json

import pytest

from data_specs.errors import SpecError
from data_specs.run import ROOMS, RunSpec
from flows.runs import recipes
from flows.runs.recipes import RECIPES, header, knobs, names, resolve, schema


@pytest.mark.parametrize("name", names())
def test_every_shipped_recipe_resolves_and_names_its_schema_command_hardware_and_models(name):
    assert isinstance(resolve(name), RunSpec)
    assert (RECIPES / f"{name}.yaml").read_text().startswith("# yaml-language-server: $schema=schema.json\n")
    described = "\n".join(header(name))
    assert all(f"{part}:" in described for part in ("command", "hardware", "models"))


def test_the_schema_that_editors_read_is_the_one_the_code_has():
    assert json.loads((RECIPES / "schema.json").read_text()) == schema()


def test_a_run_has_one_field_a_room_in_walking_order():
    assert [name for name in RunSpec.model_fields if name in ROOMS] == list(ROOMS)


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("captions.totl=3", "did you mean 'captions.total'"),
        ("concepts.backgrounds_by={model: x, per_concpt: 3}", "did you mean 'concepts.backgrounds_by.per_concept'"),
        ("capions.total=3", "did you mean 'captions'"),
        ("captions.total=-1", r"captions.total: .*greater than or equal to 1 \(given: -1\)"),
        ("captions.total=many", "captions.total: .*valid integer"),
        ("captions.strategies={concept: 0.5, relation: 0.1}", "sum to 0.6"),
        ("concepts.kinds.object=2", "kinds must be shares"),
        ("concepts.sources=[]", "concepts.sources: .*at least 1"),
        ("images.format=gif", "images.format"),
        ("images.candidates=8", "candidates 8 are chosen by score: name a scorer"),
        ("images={candidates: 3, scorer: {engine: fake, model: x}}", "candidates 3 are fewer than per_caption 4"),
        ("images.scorer={engine: clip}", "images.scorer.model"),
        ("images.safety={threshold: 0.1}", "images.safety.policy"),
        ("encoder.patch_size=14", "image_size 64 is no multiple of patch_size 14"),
        ("encoder={patch_size: 14, image_size: 56, local_size: 28}", "stem conv halves pictures"),
        ("encoder.local_size=40", "local_size 40 is no multiple of patch_size 16"),
        ("encoder.global_scale=[1.5, -2]", r"global_scale \(1.5, -2\) must be shares"),
        ("encoder.ranks=3", "captions_per_step 32 is no multiple of ranks 3"),
        ("encoder.objective=[clip]", "encoder.objective"),
        ("encoder.lr=.inf", "encoder.lr: .*finite number"),
        ("encoder.betas=[0.9, 1.5]", "encoder.betas.1: .*less than 1"),
        ("encoder.weight_decay=[-0.5, 0.2]", "encoder.weight_decay.0: .*greater than or equal to 0"),
        ("encoder.teacher_temperature=[0, 0.07]", "encoder.teacher_temperature.0: .*greater than 0"),
        ("encoder.mask_ratio=0.05", "mask_ratio 0.05 of 16 tokens mask none"),
        (
            "encoder.mask_probability=0.001",
            "mask_probability 0.001 of 128 crops and mask_ratio 0.5 of 16 tokens mask none",
        ),
        ("scores.ridge_penalties=[0]", "scores.ridge_penalties.0: .*greater than 0"),
        ("encoder.images_per_caption=9", "images_per_caption 9 is more than the 4"),
        ("embeddings.data_sets=[{use: image_folder, name: a, path: x, validation: test}]", "must be three splits"),
        ("captions.total", "room.knob=value"),
        ("captions.total.deep=1", "holds a value"),
        ("captions.total=[", "not YAML"),
    ],
)
def test_a_wrong_knob_is_refused_in_one_line_that_names_it(override, said):
    with pytest.raises(SpecError, match=said) as caught:
        resolve("tiny", knobs("tiny", [override]))
    assert "\n" not in str(caught.value)


def test_a_recipe_extends_another_knob_by_knob_and_replaces_shares_whole(tmp_path):
    (tmp_path / "mine.yaml").write_text("extends: tiny\ncaptions: {total: 64, strategies: {concept: 1.0}}\n")
    (tmp_path / "again.yaml").write_text("extends: mine.yaml\nencoder: {steps: 3}\n")
    spec, tiny = resolve(str(tmp_path / "again.yaml"), {"captions": {"total": 96}}), resolve("tiny")
    assert spec.encoder.steps == 3
    assert spec.captions.total == 96
    assert spec.captions.strategies == {"concept": 1.0}
    assert spec.concepts == tiny.concepts


def test_an_objective_brings_its_whole_set_along_and_what_is_said_beside_it_wins():
    clip = resolve("paper", knobs("paper", ["encoder.objective=clip"])).encoder
    assert (clip.lr, clip.betas, clip.ema, clip.ibot_weight, clip.images_per_caption) == (
        5e-4,
        (0.9, 0.98),
        False,
        0,
        1,
    )
    assert (clip.steps, clip.architecture) == (500_000, "vit_base")
    assert resolve("paper", {"encoder": {"objective": "clip", "lr": 1e-3}}).encoder.lr == 1e-3
    assert resolve("paper").encoder.lr == 2e-3


def test_recipes_that_extend_each_other_are_refused(tmp_path):
    (tmp_path / "a.yaml").write_text("extends: b.yaml\n")
    (tmp_path / "b.yaml").write_text("extends: a.yaml\n")
    with pytest.raises(SpecError, match="extends itself"):
        resolve(str(tmp_path / "a.yaml"))


@pytest.mark.parametrize("text", ["- a list\n", "a: [\n", "a: 1\na: 2\n", ""])
def test_a_file_that_is_no_recipe_is_refused(tmp_path, text):
    (tmp_path / "bad.yaml").write_text(text)
    with pytest.raises(SpecError, match="bad"):
        resolve(str(tmp_path / "bad.yaml"))


def test_a_name_near_a_recipe_is_suggested():
    with pytest.raises(SpecError, match="did you mean 'tiny'"):
        resolve("tinny")
    assert recipes.names()
