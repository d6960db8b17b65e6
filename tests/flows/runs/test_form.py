"""Prefect's form: nothing is filled in or required, bounds and help are shown, and what it takes the spec takes."""

import json

import jsonschema
import pytest
from prefect.utilities.callables import parameter_schema
from prefect.utilities.schema_tools.validation import validate

from data_specs.errors import SpecError
from data_specs.specs.run import RunSpec
from data_specs.stage import STAGES
from flows.runs.form import settings_schema, with_first_boxes
from flows.runs.recipes import resolve_recipe
from flows.server.deployments import fit_form
from flows.synclr import synclr


def form(part):
    """What is drawn of a stage once both choices are opened."""
    [closed, opened] = settings_schema()["anyOf"][1]["properties"][part]["anyOf"]
    assert closed["properties"] == {}
    return opened


def refusals(parameters):
    """What the server says to parameters, as it does before it makes a run; each with its place."""
    schema = parameter_schema(synclr).model_dump()
    fit_form(schema["properties"], "run")
    return {fault.json_path.removeprefix("$."): fault.message for fault in validate(parameters, schema)}


@pytest.mark.parametrize("part", [*STAGES, "execution"])
def test_a_form_fills_in_nothing_shows_bounds_and_help_and_takes_what_the_spec_takes(part):
    shown = form(part)
    assert "$ref" not in json.dumps(shown) and "required" not in shown
    assert all("default" not in setting and "anyOf" not in setting for setting in shown["properties"].values())
    jsonschema.validate({}, shown)
    usual = getattr(RunSpec(), part).model_dump(mode="json", exclude_none=True)
    said = {name: value for name, value in usual.items() if name in shown["properties"] and not isinstance(value, bool)}
    jsonschema.validate(said, shown)


def test_the_form_begins_with_what_most_fill_in_and_all_else_is_folded_away():
    """Of an `anyOf` Prefect's pages draw the first choice, until another is made."""
    described = parameter_schema(synclr).model_dump()["properties"]
    order = sorted(described, key=lambda name: described[name]["position"])
    assert order[:6] == ["recipe", "name", "total", "steps", "workers", "device"] and order[-2:] == ["settings", "plan"]
    closed, opened = described["settings"]["anyOf"]
    assert closed == {"title": "as the recipe says", "properties": {}}, (
        "typed, it would be chosen for what is opened and empty"
    )
    assert all("anyOf" in part for name, part in opened["properties"].items() if name != "seed")
    fit_form(described, "captions")
    assert "total" in described and not {"steps", "device", "plan"} & set(described)
    assert list(described["settings"]["anyOf"][1]["properties"]) == ["seed", "execution", "concepts", "captions"]


@pytest.mark.parametrize(
    ("parameters", "place", "said"),
    [
        (
            {"settings": {"captions": {"per_shard": 0}}},
            "settings.captions.per_shard",
            "0 is less than the minimum of 1",
        ),
        ({"settings": {"captions": {"totl": 3}}}, "settings.captions", "totl"),
        ({"settings": {"caption": {}}}, "settings", "caption"),
        ({"name": "../x"}, "name", "does not match"),
        ({"device": "gpu"}, "device", "does not match"),
        ({"total": 0}, "total", "0 is less than the minimum of 1"),
    ],
)
def test_what_can_never_be_right_is_refused_by_the_form_itself_at_its_box(parameters, place, said):
    assert said in refusals(parameters)[place]


def test_boxes_that_were_emptied_again_are_taken():
    assert not refusals({"settings": None, "total": None})
    assert not refusals({"settings": {"captions": {"per_shard": None}, "images": None}})


def test_the_first_boxes_are_settings_and_another_value_beside_them_is_refused():
    merged = with_first_boxes({"captions": {"per_shard": 8}, "images": {}}, total=96, steps=None, device="cpu")
    assert merged == {"captions": {"per_shard": 8, "total": 96}, "images": {"device": "cpu"}}
    assert with_first_boxes(None, total=None) == {}
    assert with_first_boxes({"captions": {"total": 96}}, total=96) == {"captions": {"total": 96}}
    with pytest.raises(SpecError, match="total 96 and settings.captions.total 32: leave one of them empty"):
        with_first_boxes({"captions": {"total": 32}}, total=96)


def test_every_parameter_of_the_run_has_help_and_recipes_and_stages_are_choices():
    described = parameter_schema(synclr).model_dump()["properties"]
    help_of = {name: parameter.get("description") for name, parameter in described.items() if name != "settings"}
    assert all(help_of.values()), help_of
    assert all(part["description"] for part in described["settings"]["anyOf"][1]["properties"].values())
    assert "tiny" in described["recipe"]["enum"] and described["until"]["enum"] == list(STAGES)


def test_what_is_chosen_for_a_switch_is_what_the_spec_understands():
    assert form("captions")["properties"]["offer_other"]["enum"] == ["true", "false"]
    assert resolve_recipe("tiny", {"captions": {"offer_other": "false"}}).captions.offer_other is False
