"""A resolved recipe and a root enter; where each room's outputs live, and what their lineage is made of, leave.

Lineage = digest of (room, version of its code, its spec without the knobs that only say how much, the seed, what it
reads, the models it uses). Whoever changes one of them gets another folder; nothing is ever overwritten.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from data_specs.ids import Lineage, digest
from data_specs.run import LINEAGE_IF_TURNED, NOT_LINEAGE, ROOMS, CaptionsSpec, RunSpec, Spec
from data_specs.selection import SELECTION
from data_specs.shard import ShardAddress
from models.captioner.build import identify_captioner
from models.encoder.tokenizer import tokenizer_digest
from models.renderer.build import identify_loras, identify_renderer
from models.scorer.build import identify_checker, identify_scorer
from tasks import storage
from tasks.captions.prompt_files import load_prompts, prompts_digest
from tasks.captions.unsafe_words import unsafe_words_digest
from tasks.concepts.background_prompts import load_prompt, prompt_file_digest
from tasks.concepts.ingest import asked_about
from tasks.concepts.sources import fingerprints
from tasks.embeddings.data_sets import fingerprint
from tasks.embeddings.jobs import looks
from tasks.embeddings.templates import load_templates, templates_digest

VERSIONS = {
    "backgrounds": 1,
    "concepts": 1,
    "captions": 4,
    SELECTION: 1,
    "images": 3,
    "encoder": 3,
    "embeddings": 2,
    "scores": 4,
}
"""Raised when a room's code would make other bytes from the same spec."""


@dataclass(frozen=True, slots=True)
class Room:
    """One room of one run: `facts` are what its lineage is the digest of, kept beside the shards to explain staleness."""

    name: str
    lineage: Lineage
    folder: str
    shards: tuple[ShardAddress, ...]
    facts: dict[str, Any]

    @property
    def table(self) -> ShardAddress:
        """The only shard of a room that makes one table."""
        return self.shards[0]

    def remember(self) -> None:
        """Write the facts beside the shards, once."""
        url = f"{self.folder}/lineage.json"
        if storage.read_bytes(url) is None:
            storage.write_bytes(url, json.dumps(self.facts, indent=2, sort_keys=True).encode())


def rooms(spec: RunSpec, root: str) -> dict[str, Room]:
    """Every room in walking order; before concepts and images the inner rooms `backgrounds` and `selection`, if there are.

    Reads no shard, starts no engine; raises SpecError for a model or file that is missing.
    """
    shards = -(-spec.captions.total // spec.captions.per_shard)
    asked = backgrounds_room(spec, root)
    made = ({"backgrounds": asked} if asked else {}) | {"concepts": concepts_room(spec, root)}

    def add(name: str, count: int, **facts: Any) -> None:
        upstream = made[ROOMS[ROOMS.index(name) - 1]].lineage
        knobs = lineage_knobs(getattr(spec, name))
        made[name] = _room(name, count, root, spec=knobs, upstream=upstream, seed=spec.seed, **facts)

    captioner, renderer = identify_captioner(spec.captions), identify_renderer(spec.images)
    listed = spec.captions.unsafe_words
    unsafe = {} if listed is None else {"unsafe_words": unsafe_words_digest(listed)}
    add(
        "captions",
        shards,
        model=[captioner.id, captioner.revision],
        prompts=prompts_digest(load_prompts(spec.captions.prompts)),
        **unsafe,
    )
    selection = selection_knobs(spec.captions)
    if selection:
        captions = made["captions"].lineage
        made[SELECTION] = _room(SELECTION, shards, root, spec=selection, upstream=captions, seed=spec.seed)
    looking = {"scorer": identify_scorer(spec.images), "checker": identify_checker(spec.images)}
    seen_by: dict[str, Any] = {name: [model.id, model.revision] for name, model in looking.items() if model}
    if added := [[lora.model.id, lora.model.revision] for lora in identify_loras(spec.images)]:
        seen_by["loras"] = added
    add("images", shards, model=[renderer.id, renderer.revision], selection=selection, **seen_by)
    # What an encoder learns depends on every picture it sees, so here, and only here, the number of shards counts.
    cut_by = tokenizer_digest(spec.encoder)
    add("encoder", 1, shards=shards, **({"tokenizer": cut_by} if cut_by else {}))
    own = {one.name: fingerprint(one) for one in spec.embeddings.data_sets}
    # Sentences about classes are read by a text tower alone.
    said = templates_digest(load_templates(spec.embeddings.templates)) if spec.encoder.text_weight > 0 else None
    add("embeddings", len(looks(spec)), data_sets=own, templates=said)
    add("scores", len(looks(spec)))
    return made


def concepts_room(spec: RunSpec, root: str) -> Room:
    """The first room, which needs to know nothing of the others."""
    asked = backgrounds_room(spec, root)
    written = {"backgrounds": asked.lineage} if asked else {}
    knobs = lineage_knobs(spec.concepts)
    return _room("concepts", 1, root, spec=knobs, upstream=None, sources=fingerprints(spec.concepts), **written)


def backgrounds_room(spec: RunSpec, root: str) -> Room | None:
    """The room inside `concepts` where an LLM writes backgrounds; None if the recipe asks for none.

    Its lineage knows the names alone, so other weights or places ask for nothing again.
    """
    by, objects = spec.concepts.backgrounds_by, asked_about(spec.concepts)
    if by is None or not objects:
        return None
    model = identify_captioner(by)
    return _room(
        "backgrounds",
        -(-len(objects) // by.per_shard),
        root,
        spec=lineage_knobs(by),
        upstream=None,
        seed=spec.seed,
        model=[model.id, model.revision],
        prompts=prompt_file_digest(load_prompt(by.prompt)),
        names=digest(*(f"{each.id} {each.name}" for each in objects)),
    )


def _room(name: str, count: int, root: str, **facts: Any) -> Room:
    described = json.loads(json.dumps({"room": name, "version": VERSIONS[name], **facts}))
    lineage = Lineage(digest(json.dumps(described, sort_keys=True)))
    folder = f"{root.rstrip('/')}/{name}/{lineage}"
    addresses = tuple(ShardAddress(folder=folder, room=name, lineage=lineage, index=i) for i in range(count))
    return Room(name, lineage, folder, addresses, described)


def lineage_knobs(spec: Spec) -> dict[str, Any]:
    """The spec without what only says how much is made, or where, and without later knobs that nobody turned."""
    knobs = spec.model_dump(mode="json")
    for name, field in type(spec).model_fields.items():
        value, mark = getattr(spec, name), field.json_schema_extra
        if mark == NOT_LINEAGE or (mark == LINEAGE_IF_TURNED and value == field.default):
            del knobs[name]
        elif isinstance(value, Spec):
            knobs[name] = lineage_knobs(value)
    return knobs


def selection_knobs(spec: CaptionsSpec) -> dict[str, Any] | None:
    """By what captions are left out across shards; None where all are drawn."""
    if spec.across_shards is None and spec.balance is None:
        return None
    near = spec.near_duplicates if spec.across_shards == "near" else None
    knobs = {"across_shards": spec.across_shards, "near_duplicates": near, "balance": spec.balance}
    return knobs | {"version": VERSIONS[SELECTION]}  # in the lineage of images, which do not read that room's


def differences(old: Any, new: Any, path: str = "") -> Iterator[str]:
    """Which field made a lineage stale: `spec.steps 300 -> 600`."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted(old.keys() | new.keys()):
            yield from differences(old.get(key), new.get(key), f"{path}.{key}" if path else str(key))
    elif old != new:
        yield f"{path} {json.dumps(old)} -> {json.dumps(new)}"
