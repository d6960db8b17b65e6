"""The parameters of the `synclr` flow as Prefect's form shows them: JSON Schema with nothing required and nothing filled in."""

import json
from typing import Annotated, Any

from pydantic import WithJsonSchema

from data_specs.specs.run import RunSpec
from data_specs.stage import STAGES
from flows.runs.plan import RunPlan
from flows.runs.recipes import names
from flows.runs.request import RUN_NAME

ABOUT = {
    "seed": "from which every other seed follows",
    "execution": "how many engines share a machine; changes nothing of what is made",
    "concepts": "which names, and how often each is drawn",
    "captions": "how sentences are written about them",
    "images": "how captions are rendered",
    "encoder": "how the encoder is trained",
    "embeddings": "which benchmarks are embedded",
    "scores": "how embeddings are judged",
}


def settings_schema() -> dict[str, Any]:
    """Every setting of a recipe, part by part; what is left empty is as the recipe says.

    Whole in itself (no `$ref`), since it is to stand inside the schema of the flow's parameters.
    """
    described = RunSpec.model_json_schema()
    definitions = described["$defs"]
    parts = {"seed": {"type": "integer", "minimum": 0, "title": "seed", "description": ABOUT["seed"]}}
    for part in ("execution", *STAGES):
        spec = RunSpec.model_fields[part].annotation
        assert isinstance(spec, type)
        parts[part] = _part(definitions[spec.__name__], definitions) | {"title": part, "description": ABOUT[part]}
    return {"type": "object", "title": "settings", "properties": parts}


def _part(schema: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    settings = {name: _setting(name, value, definitions) for name, value in schema["properties"].items()}
    # What has one choice only is drawn as a dead box.
    kept = {name: setting for name, setting in settings.items() if "const" not in setting}
    return {"type": "object", "additionalProperties": False, "properties": _whole(kept, definitions)}


def _whole(schema: Any, definitions: dict[str, Any]) -> Any:
    """Replaces references by what they refer to."""
    if isinstance(schema, list):
        return [_whole(part, definitions) for part in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        beside = {key: value for key, value in schema.items() if key != "$ref"}
        return _whole(_definition(schema["$ref"], definitions) | beside, definitions)
    kept = {key: value for key, value in schema.items() if key not in ("$defs", "discriminator", "lineage")}
    return {key: _whole(value, definitions) for key, value in kept.items()}


def _definition(reference: str, definitions: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = definitions[reference.rsplit("/", 1)[1]]
    return found


def _setting(name: str, schema: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    """Called what recipes call it. Its default becomes a word of help: filled in, it would override the recipe."""
    kept = {key: value for key, value in schema.items() if key != "default"} | {"title": name}
    choices = [choice for choice in kept.get("anyOf", []) if choice != {"type": "null"}]
    if len(choices) == 1:
        del kept["anyOf"]
        kept |= choices[0]
    if "$ref" in kept:  # settings of settings: nothing is filled in there either, and nothing required
        kept |= _part(_definition(kept.pop("$ref"), definitions), definitions)
    if kept.get("type") == "boolean":  # shown as a switch, which reads "off" where nothing was chosen
        kept |= {"type": "string", "enum": ["true", "false"]}
    usual = schema.get("default")
    if isinstance(usual, str | int | float) and usual != "":
        kept["description"] = (
            f"{kept.get('description', '')} [{json.dumps(usual)} unless the recipe says otherwise]".strip()
        )
    return kept


def _text(description: str) -> WithJsonSchema:
    # None where nothing was given, which no form is to offer as a choice.
    return WithJsonSchema({"type": "string", "description": description})


def _choice(choices: list[str], description: str) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "enum": choices, "description": description})


Recipe = Annotated[str, _choice(names(), "What to run.")]
Name = Annotated[
    str | None,
    WithJsonSchema(
        {
            "type": "string",
            "pattern": RUN_NAME,
            "description": "Name of the run, under which status, report and growth are kept; empty: the Run Name above.",
        }
    ),
]
Root = Annotated[str | None, _text("Folder or fsspec URL (s3://...) of all outputs; empty: SYNCLR_ROOT of the worker.")]
Grow = Annotated[
    int | None,
    WithJsonSchema(
        {
            "type": "integer",
            "minimum": 0,
            "description": "Captions to add to what the run has; 0 keeps its size; empty: as many as the recipe says.",
        }
    ),
]
Since = Annotated[str, _choice(list(STAGES), "First stage to run; the stages before must be sealed.")]
Until = Annotated[str, _choice(list(STAGES), "Last stage to run.")]
Settings = Annotated[dict[str, Any] | None, WithJsonSchema(settings_schema())]
Plan = Annotated[
    RunPlan | None,
    WithJsonSchema({"type": "object", "description": "A plan that is resolved already, in place of all else."}),
]
