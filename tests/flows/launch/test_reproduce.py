"""A paper's table as recipes: every file is right before anything is run, and figures are those of the runs."""

import pytest

from data_specs.errors import SpecError
from flows.launch import reproduce
from flows.runs.planning import resolve_plan
from flows.runs.recipes import resolve_recipe
from flows.runs.request import Request


def requests(name: str) -> dict[str, Request]:
    asked = reproduce.read_reproduction(name)
    return {v.name: reproduce._request(asked, v, name, "/root", 1, {}) for v in asked.variants}


@pytest.mark.parametrize("name", reproduce.names())
def test_every_variant_is_a_recipe_that_differs_from_the_others(name: str) -> None:
    specs = {variant: resolve_recipe(request.recipe, request.settings) for variant, request in requests(name).items()}
    assert len({spec.model_dump_json() for spec in specs.values()}) == len(specs)
    assert all(spec.encoder.repeat == 1 and not spec.embeddings.hog for spec in specs.values())


@pytest.mark.parametrize("name", ["granularity", "components", "positives", "clip", "length"])
def test_variants_of_an_encoder_share_captions_and_images(name: str) -> None:
    lineages = [resolve_plan(request).stages["images"].lineage for request in requests(name).values()]
    assert len(set(lineages)) == 1


@pytest.mark.parametrize("name", ["guidance", "positives"])
def test_rows_that_the_paper_learned_with_stablerep_learn_with_it_here(name: str) -> None:
    assert {
        resolve_recipe(request.recipe, request.settings).encoder.objective for request in requests(name).values()
    } == {"stablerep"}


def test_a_repeat_trains_anew_on_the_same_images() -> None:
    asked = reproduce.read_reproduction("clip")
    first, second = (
        resolve_plan(reproduce._request(asked, asked.variants[0], "clip", "/root", repeat, {})).stages
        for repeat in (0, 1)
    )
    assert first["images"].lineage == second["images"].lineage
    assert first["encoder"].lineage != second["encoder"].lineage


def test_a_table_that_there_is_not_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(SpecError, match="there are clip, components, granularity"):
        reproduce.read_reproduction("table-9")


def test_settings_of_a_row_win_over_those_given_for_all_rows() -> None:
    asked = reproduce.read_reproduction("positives")
    overrides = {"encoder": {"steps": 7, "captions_per_step": 5}}
    requests = [reproduce._request(asked, v, "positives", "/root", 0, overrides) for v in asked.variants]
    rows = [resolve_recipe(one.recipe, one.settings).encoder for one in requests]
    assert [(row.steps, row.captions_per_step) for row in rows] == [(7, 64), (7, 32)]


def test_a_spread_is_over_repeats() -> None:
    found = [
        {"run": run, "hours": 1.0, "images_seen": 9, "styles ridge": value} for run, value in (("a", 0.1), ("b", 0.3))
    ]
    row = reproduce._row(reproduce.read_reproduction("clip").variants[0], found)
    assert (row["hours"], row["images_seen"], list(row["ours"])) == (2.0, 9, ["styles ridge"])
    assert row["ours"]["styles ridge"]["mean"] == pytest.approx(0.2)
    assert row["ours"]["styles ridge"]["deviation"] == pytest.approx(0.1414, abs=1e-4)
