"""Recipes: the shipped ones resolve_recipe, one extends another, and a file that is none is refused by name."""

import json

import pytest

from data_specs.errors import SpecError
from data_specs.specs.run import RunSpec
from flows.runs import recipes
from flows.runs.recipes import RECIPES, header, names, read_overrides, resolve_recipe, schema


@pytest.mark.parametrize("name", names())
def test_every_shipped_recipe_resolves_and_names_its_schema_command_hardware_and_models(name):
    assert isinstance(resolve_recipe(name), RunSpec)
    assert (RECIPES / f"{name}.yaml").read_text().startswith("# yaml-language-server: $schema=schema.json\n")
    described = "\n".join(header(name))
    assert all(f"{part}:" in described for part in ("command", "hardware", "models"))


def test_the_schema_that_editors_read_is_the_one_the_code_has():
    assert json.loads((RECIPES / "schema.json").read_text()) == schema()


def test_a_recipe_extends_another_setting_by_setting_and_replaces_shares_whole(tmp_path):
    (tmp_path / "mine.yaml").write_text("extends: tiny\ncaptions: {total: 64, strategies: {concept: 1.0}}\n")
    (tmp_path / "again.yaml").write_text("extends: mine.yaml\nencoder: {steps: 3}\n")
    spec, tiny = resolve_recipe(str(tmp_path / "again.yaml"), {"captions": {"total": 96}}), resolve_recipe("tiny")
    assert spec.encoder.steps == 3
    assert spec.captions.total == 96
    assert spec.captions.strategies == {"concept": 1.0}
    assert spec.concepts == tiny.concepts


def test_an_objective_brings_its_whole_set_along_and_what_is_said_beside_it_wins():
    clip = resolve_recipe("paper", read_overrides("paper", ["encoder.objective=clip"])).encoder
    assert (clip.lr, clip.betas, clip.ema, clip.ibot_weight, clip.images_per_caption) == (
        5e-4,
        (0.9, 0.98),
        False,
        0,
        1,
    )
    assert (clip.steps, clip.architecture) == (500_000, "vit_base")
    assert resolve_recipe("paper", {"encoder": {"objective": "clip", "lr": 1e-3}}).encoder.lr == 1e-3
    assert resolve_recipe("paper").encoder.lr == 2e-3


def test_recipes_that_extend_each_other_are_refused(tmp_path):
    (tmp_path / "a.yaml").write_text("extends: b.yaml\n")
    (tmp_path / "b.yaml").write_text("extends: a.yaml\n")
    with pytest.raises(SpecError, match="extends itself"):
        resolve_recipe(str(tmp_path / "a.yaml"))


@pytest.mark.parametrize("text", ["- a list\n", "a: [\n", "a: 1\na: 2\n", ""])
def test_a_file_that_is_no_recipe_is_refused(tmp_path, text):
    (tmp_path / "bad.yaml").write_text(text)
    with pytest.raises(SpecError, match="bad"):
        resolve_recipe(str(tmp_path / "bad.yaml"))


def test_a_password_in_an_address_is_not_repeated_by_its_refusal():
    with pytest.raises(SpecError, match="captions.server: must hold no name or password") as refused:
        resolve_recipe("tiny", read_overrides("tiny", ["captions.server=http://me:hunter2@host/v1"]))
    assert "hunter2" not in str(refused.value)


def test_a_name_near_a_recipe_is_suggested():
    with pytest.raises(SpecError, match="did you mean 'tiny'"):
        resolve_recipe("tinny")
    assert recipes.names()
