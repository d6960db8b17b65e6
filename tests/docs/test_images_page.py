"""docs/images.md: its recipes are recipes, its settings and commands are there."""

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML
from typer.main import get_command

from data_specs.specs.images import LoraSpec, SafetySpec, ScorerSpec
from data_specs.specs.run import RunSpec
from flows.cli.app import app

PAGE = (Path(__file__).parents[2] / "docs" / "images.md").read_text(encoding="utf-8")
RECIPES = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
COMMANDS = [
    line.partition("#")[0] for fence in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL) for line in fence.splitlines()
]


def read(text: str) -> Any:
    return YAML(typ="safe", pure=True).load(text)


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_recipe_of_the_page_is_one(recipe):
    assert len(RECIPES) >= 9
    RunSpec.model_validate(read(recipe))


def test_every_setting_that_is_named_exists():
    known = {name for spec in (RunSpec, ScorerSpec, SafetySpec, LoraSpec) for name in spec.model_fields}
    known |= {name for stage in RunSpec.model_fields.values() for name in getattr(stage.annotation, "model_fields", {})}
    for setting in re.findall(r"`(?:(?:images|encoder|captions|execution)\.)([a-z_.]+)", PAGE):
        assert set(setting.split(".")) <= known, setting
    for table in re.findall(r"^\| (`[a-z_`, .]+`) \|", PAGE.partition("## Seeds")[0], re.MULTILINE):
        for setting in re.findall(r"`([a-z_.]+)`", table):
            assert set(setting.split(".")) - {"execution"} <= known, setting
    lora = read(re.search(r"`loras: (\[.*?\])`", PAGE)[1])
    assert LoraSpec.model_validate(lora[0])


@pytest.mark.parametrize("line", [line for line in COMMANDS if line.strip()])
def test_a_command_of_the_page_is_one(line):
    program, name, *arguments = shlex.split(line)
    command = get_command(app).commands[name]
    assert program == "synclr" and command.make_context(name, arguments).params["name"] == "RUN"
