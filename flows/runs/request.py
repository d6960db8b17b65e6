"""What was asked for enters, from a command line, a form or a schedule; the run that it describes leaves, or a SpecError."""

import json
import os
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from data_specs.errors import SpecError
from data_specs.run import ROOMS, WORKSPACE, Run, RunSpec
from flows.runs.folder import folder, read_recipe, write_recipe
from flows.runs.recipes import names, resolve
from flows.runs.resolve import Room, rooms
from models.captioner.build import require_captioner
from models.encoder.tokenizer import require_tokenizer
from models.renderer.build import require_renderer
from models.scorer.build import require_looking
from tasks import storage
from tasks.captions.planning import Planner
from tasks.concepts.ingest import table_of
from tasks.shards import missing


@dataclass(frozen=True, slots=True)
class Request:
    """A recipe, the knobs to turn, and how far to walk. The same words from every door, and on the run's page."""

    recipe: str = "tiny"
    name: str | None = None
    root: str | None = None
    since: str = ROOMS[0]
    until: str = ROOMS[-1]
    grow: int | None = None
    knobs: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for word, room in (("since", self.since), ("until", self.until)):
            if room not in ROOMS:
                raise SpecError(f"--{word} {room!r} is no room; rooms are {', '.join(ROOMS)}")
        if ROOMS.index(self.since) > ROOMS.index(self.until):
            raise SpecError(f"since {self.since!r} comes after until {self.until!r}; the order is {', '.join(ROOMS)}")

    @property
    def walked(self) -> tuple[str, ...]:
        """The rooms from `since` to `until`."""
        return ROOMS[ROOMS.index(self.since) : ROOMS.index(self.until) + 1]

    def parameters(self) -> dict[str, Any]:
        """As parameters of the `synclr` flow; what was left out stays out, so that a run's page shows what was asked."""
        said = {key: getattr(self, key) for key in ("recipe", "name", "root", "since", "until", "grow")}
        return {key: value for key, value in said.items() if value is not None} | self.knobs

    def resolved(self) -> Run:
        """The run without the growth that is asked for. Raises SpecError."""
        root = self.root or os.environ.get("SYNCLR_ROOT", WORKSPACE)
        name = self.name or Path(self.recipe).stem
        try:
            return Run(name=name, root=root, spec=resolve(self.recipe, self.knobs))
        except ValueError as error:
            raise SpecError(f"name {name!r}: use letters, digits, - and _ only, at most 64") from error

    def grown(self, asked_by: str) -> "Request":
        """The same request with `grow` counted in; whoever asks again under the same `asked_by` grows only once."""
        run = self.resolved()
        if self.grow is None or storage.read_bytes(f"{folder(run)}/recipe.json") is None:
            return replace(self, grow=None)
        before, _ = read_recipe(run.root, run.name)
        url = f"{folder(run)}/growth.json"
        totals = json.loads(storage.read_bytes(url) or b"{}")
        if asked_by not in totals:
            totals[asked_by] = before.spec.captions.total + self.grow
            storage.write_bytes(url, json.dumps(totals, indent=2).encode())
        captions = self.knobs.get("captions", {}) | {"total": totals[asked_by]}
        return replace(self, grow=None, knobs=self.knobs | {"captions": captions})

    def preflight(self, run: Run) -> dict[str, Room]:
        """Every room of `run`, an answer to this request, before any work. Raises SpecError for what can be refused now.

        That is: the root, the lists of names, the prompts, the models, rooms before `since` that are not whole, and, for
        rooms that have something to make, an engine's server or hub.
        """
        storage.require_writable(run.root)
        Planner(table_of(run.spec.concepts), run.spec.captions, run.spec.seed)
        wanted = rooms(run.spec, run.root)
        for room in (wanted[name] for name in ROOMS[: ROOMS.index(self.since)]):
            if absent := len(missing(room.shards)):
                raise SpecError(
                    f"{self.since} of run {run.name!r} needs the {room.name} room, of which {absent} of {len(room.shards)} "
                    f"shards are missing under {run.root}; walk it first (--since {room.name}, or deployment synclr/{room.name})"
                )
        for shown in run.spec.embeddings.data_sets:
            if storage.absolute(shown.path).rstrip("/") == storage.absolute(wanted["images"].folder):
                raise SpecError(
                    f"embeddings.data_sets: {shown.name} at {shown.path} holds the very pictures that this run's encoder learns "
                    "from: name the images room of another run"
                )
        by, written = run.spec.concepts.backgrounds_by, wanted.get("backgrounds")
        if by and written and "concepts" in self.walked and missing(written.shards):
            require_captioner(by)
        if self._makes(wanted["captions"]):
            require_captioner(run.spec.captions)
        if self._makes(wanted["images"]):
            require_renderer(run.spec.images)
            require_looking(run.spec.images)
        if self._makes(wanted["encoder"]):
            require_tokenizer(run.spec.encoder)
        return wanted

    def _makes(self, room: Room) -> bool:
        return room.name in self.walked and bool(missing(room.shards))

    def begin(self, run: Run, wanted: dict[str, Room]) -> None:
        """Write the resolved recipe, and what it was resolved from, before the first shard; sweep what killed processes left."""
        write_recipe(run, {"recipe": _findable(self.recipe), "knobs": self.knobs})
        here = [room.folder for name, room in wanted.items() if name in self.walked or name not in ROOMS]
        for place in (folder(run), *here):
            storage.sweep(place)


def _findable(recipe: str) -> str:
    """A recipe file's path as it is found from any folder later."""
    return str(Path(recipe).resolve()) if Path(recipe).is_file() and recipe not in names() else recipe


def form(room: str) -> dict[str, Any]:
    """JSON Schema of a room's knobs with nothing required and nothing filled in: what is left empty is as the recipe says.

    Whole in itself (no `$ref`), since it is to stand inside the schema of the flow's parameters.
    """
    spec = RunSpec.model_fields[room].annotation
    assert isinstance(spec, type) and issubclass(spec, BaseModel)
    described = spec.model_json_schema()
    described["title"] = room
    emptied: dict[str, Any] = _emptied(described, described.get("$defs", {}), top=True)
    return emptied


def _emptied(schema: Any, definitions: dict[str, Any], *, top: bool = False) -> Any:
    if isinstance(schema, list):
        return [_emptied(part, definitions) for part in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        beside = {key: value for key, value in schema.items() if key != "$ref"}
        return _emptied(_definition(schema["$ref"], definitions) | beside, definitions)
    kept = {key: value for key, value in schema.items() if key not in ("$defs", "discriminator", "lineage")}
    if top:
        kept.pop("required", None)
        knobs = {name: _knob(name, value, definitions) for name, value in kept["properties"].items()}
        # What has one choice only is drawn as a dead box.
        kept["properties"] = {name: knob for name, knob in knobs.items() if "const" not in knob}
    return {key: _emptied(value, definitions) for key, value in kept.items()}


def _definition(reference: str, definitions: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = definitions[reference.rsplit("/", 1)[1]]
    return found


def _knob(name: str, schema: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    """Called what recipes call it. Its default becomes a word of help: filled in, it would override the recipe."""
    kept = {key: value for key, value in schema.items() if key != "default"} | {"title": name}
    choices = [choice for choice in kept.get("anyOf", []) if choice != {"type": "null"}]
    if len(choices) == 1:
        del kept["anyOf"]
        kept |= choices[0]
    if "$ref" in kept:  # knobs of knobs: nothing is filled in there either, and nothing required
        part = _definition(kept.pop("$ref"), definitions)
        kept |= {"type": "object", "additionalProperties": False}
        kept["properties"] = {inner: _knob(inner, value, definitions) for inner, value in part["properties"].items()}
    if kept.get("type") == "boolean":  # drawn as a switch, which says "off" where nobody said anything
        kept |= {"type": "string", "enum": ["true", "false"]}
    usual = schema.get("default")
    if isinstance(usual, str | int | float) and usual != "":
        kept["description"] = (
            f"{kept.get('description', '')} [{json.dumps(usual)} unless the recipe says otherwise]".strip()
        )
    return kept
