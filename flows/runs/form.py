"""The parameters of the `synclr` flow as Prefect's form shows them: JSON Schema with nothing required and nothing filled in.

What most people fill in comes first: recipe, name, size, steps, where. All other settings are folded away, as a whole and stage
by stage: Prefect's pages draw of an `anyOf` the choice that is made, and the first, `RECIPE`, has nothing to draw.
"""

import json
from collections.abc import Container
from typing import Annotated, Any

from pydantic import WithJsonSchema

from data_specs.errors import SpecError
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


RECIPE, ADVANCED, CHANGED = "as the recipe says", "advanced: all settings", "change"
"""The choices: of all settings, and of those of one stage."""
FIRST_BOXES = {"total": "captions", "steps": "encoder", "workers": "execution", "device": "images"}
"""Settings with a box of their own at the top, and the part of the recipe in which they stand."""


def settings_schema(parts: Container[str] = (*STAGES, "seed", "execution")) -> dict[str, Any]:
    """Every setting of these parts of a recipe, folded away. What is left empty is as the recipe says.

    `anyOf` is what is drawn and takes any object; `then` is what is checked, in which each fault has its place: of an `anyOf`
    that nothing fits, a person would be told just that. Whole in itself (no `$ref`), since it stands inside a schema.
    """
    whole = {part: schema for part, schema in _parts().items() if part in parts}
    folded = {part: _folded(schema, CHANGED) if "properties" in schema else schema for part, schema in whole.items()}
    checked = {"type": ["object", "null"], "additionalProperties": False, "properties": _or_null(whole)}
    about = "Open it for the settings that have no box above; empty boxes are as the recipe says."
    drawn = {"type": "object", "title": "settings", "description": about, "properties": folded}
    return _folded(drawn, ADVANCED) | {"if": {}, "then": checked}


def _folded(schema: dict[str, Any], choice: str) -> dict[str, Any]:
    told = {"type": "object"} | {key: schema[key] for key in ("title", "description")}
    # Without a type of its own: pages take the first object for what was opened and has no value yet, and would fold it again.
    nothing = {"title": RECIPE, "properties": {}}
    return told | {"anyOf": [nothing, {"type": "object", "title": choice, "properties": schema["properties"]}]}


def _or_null(properties: dict[str, Any]) -> dict[str, Any]:
    """A box that was emptied is sent as null."""
    found = {}
    for name, schema in properties.items():
        inner = {"properties": _or_null(schema["properties"])} if "properties" in schema else {}
        types = {"type": [schema["type"], "null"]} if isinstance(schema.get("type"), str) else {}
        found[name] = schema | inner | types
    return found


def _parts() -> dict[str, Any]:
    described = RunSpec.model_json_schema()
    definitions = described["$defs"]
    parts = {"seed": {"type": "integer", "minimum": 0, "title": "seed", "description": ABOUT["seed"]}}
    for part in ("execution", *STAGES):
        spec = RunSpec.model_fields[part].annotation
        assert isinstance(spec, type)
        parts[part] = _part(definitions[spec.__name__], definitions) | {"title": part, "description": ABOUT[part]}
    return parts


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


def with_first_boxes(settings: dict[str, Any] | None, **boxes: str | int | None) -> dict[str, Any]:
    """The settings with what the first boxes say. Raises SpecError where both name a setting, and name it differently."""
    merged = {part: value for part, value in (settings or {}).items() if value not in (None, {})}
    for name, value in boxes.items():
        if value is not None:
            part = FIRST_BOXES[name]
            there = merged.get(part, {}).get(name)
            if there not in (None, value):
                raise SpecError(f"{name} {value!r} and settings.{part}.{name} {there!r}: leave one of them empty")
            merged[part] = merged.get(part, {}) | {name: value}
    return merged


def _first_box(name: str, description: str) -> WithJsonSchema:
    """With the bounds of the setting."""
    setting = dict(_parts()[FIRST_BOXES[name]]["properties"][name])
    return WithJsonSchema(setting | {"title": name, "description": f"{description}; empty: as the recipe says."})


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
            "description": "Name of the run, under which status, report and growth are kept: letters, digits, - and _; "
            "empty: the Run Name above.",
        }
    ),
]
Total = Annotated[int | None, _first_box("total", "Size: captions in all (captions.total)")]
Steps = Annotated[int | None, _first_box("steps", "Steps for which the encoder is trained (encoder.steps)")]
Workers = Annotated[int | None, _first_box("workers", "Where: engines that work beside each other (execution.workers)")]
Device = Annotated[
    str | None,
    _first_box("device", "Where images are rendered: auto, cpu, cuda, cuda:1, xpu or mps (images.device)"),
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
