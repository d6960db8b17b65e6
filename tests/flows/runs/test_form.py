"""Prefect's form: nothing is filled in or required, bounds and help are shown, and what it takes the spec takes."""

import json

import jsonschema
import pytest
from prefect.utilities.callables import parameter_schema

from data_specs.specs.run import RunSpec
from data_specs.stage import STAGES
from flows.runs.form import settings_schema
from flows.runs.recipes import resolve_recipe


def form(part):
    return settings_schema()["properties"][part]


@pytest.mark.parametrize("part", [*STAGES, "execution"])
def test_a_form_fills_in_nothing_shows_bounds_and_help_and_takes_what_the_spec_takes(part):
    shown = form(part)
    assert "$ref" not in json.dumps(shown) and "required" not in shown
    assert all("default" not in setting and "anyOf" not in setting for setting in shown["properties"].values())
    jsonschema.validate({}, shown)
    usual = getattr(RunSpec(), part).model_dump(mode="json", exclude_none=True)
    said = {name: value for name, value in usual.items() if name in shown["properties"] and not isinstance(value, bool)}
    jsonschema.validate(said, shown)


def test_a_value_out_of_bounds_is_refused_by_the_form_itself():
    with pytest.raises(jsonschema.ValidationError, match="0 is less than the minimum of 1"):
        jsonschema.validate({"per_shard": 0}, form("captions"))
    with pytest.raises(jsonschema.ValidationError, match="totl"):
        jsonschema.validate({"totl": 3}, form("captions"))


def test_every_parameter_of_the_run_has_help_and_recipes_and_stages_are_choices():
    from flows.synclr import synclr

    described = parameter_schema(synclr).model_dump()["properties"]
    help_of = {name: parameter.get("description") for name, parameter in described.items() if name != "settings"}
    assert all(help_of.values()), help_of
    assert all(part["description"] for part in described["settings"]["properties"].values())
    assert "tiny" in described["recipe"]["enum"] and described["until"]["enum"] == list(STAGES)


def test_what_is_chosen_for_a_switch_is_what_the_spec_understands():
    assert form("captions")["properties"]["offer_other"]["enum"] == ["true", "false"]
    assert resolve_recipe("tiny", {"captions": {"offer_other": "false"}}).captions.offer_other is False
