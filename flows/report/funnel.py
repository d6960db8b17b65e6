"""The rooms of a run enter; leaves how much each was asked for, kept and refused, for which reasons, with examples."""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from data_specs.rejection import Rejection
from data_specs.run import RunSpec
from flows.report.charts import Part, stacked
from flows.report.sealed_stages import Walked
from tasks.shards import read_rejects

UNITS = {
    "concepts": "concepts",
    "captions": "captions",
    "images": "image groups",
    "encoder": "checkpoints",
    "embeddings": "embeddings",
    "scores": "scores",
}
EXAMPLES = 3
EXAMPLE_SHARDS = 8
MOST_LETTERS = 160


@dataclass(frozen=True, slots=True)
class Refused:
    """One reason: how often, its share of what was asked for, and a few texts that were refused for it."""

    reason: str
    count: int
    share: float
    css: str
    examples: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Stage:
    """One room: asked = accepted + all refused; `planned` is None where a room plans no number."""

    room: str
    unit: str
    planned: int | None
    asked: int
    accepted: int
    pictures: int | None
    refused: tuple[Refused, ...]
    bar: Markup


def funnel(rooms: dict[str, Walked], spec: RunSpec) -> list[Stage]:
    return [_stage(name, room, _planned(name, rooms, spec), spec) for name, room in rooms.items()]


def _stage(name: str, room: Walked, planned: int | None, spec: RunSpec) -> Stage:
    accepted, rejected = room.sealed.accepted, room.sealed.rejected
    asked = accepted + sum(rejected.values())
    texts = _texts(room) if rejected else {}
    ordered = sorted(rejected.items(), key=lambda entry: (-entry[1], entry[0]))
    refused = tuple(
        Refused(reason, count, count / asked, f"refused r{min(number, 5)}", texts.get(reason, ()))
        for number, (reason, count) in enumerate(ordered)
    )
    parts = [Part("accepted", accepted, "kept"), *(Part(entry.reason, entry.count, entry.css) for entry in refused)]
    told = ", ".join(f"{part.value:,g} {part.label.replace('_', ' ')}" for part in parts)
    return Stage(
        room=name,
        unit=UNITS[name],
        planned=planned,
        asked=asked,
        accepted=accepted,
        pictures=accepted * spec.images.per_caption if name == "images" else None,
        refused=refused,
        bar=stacked(parts, asked, f"{name}: of {asked:,} asked for, {told}"),
    )


def _planned(name: str, rooms: dict[str, Walked], spec: RunSpec) -> int | None:
    if name == "captions":
        return rooms[name].sealed.shards * spec.captions.per_shard
    return rooms["captions"].sealed.accepted if name == "images" else None


def _texts(room: Walked) -> dict[str, tuple[str, ...]]:
    """The first few different texts by reason, from shards spread over the room."""
    seen: dict[str, list[str]] = {}
    for address in room.spread(EXAMPLE_SHARDS):
        for rejection in read_rejects(address):
            kept = seen.setdefault(rejection.reason, [])
            if len(kept) < EXAMPLES and (text := _shown(rejection)) not in kept:
                kept.append(text)
    return {reason: tuple(kept) for reason, kept in seen.items()}


def _shown(rejection: Rejection) -> str:
    text = " ".join(rejection.text.split()) or "(no text)"
    return text if len(text) <= MOST_LETTERS else text[: MOST_LETTERS - 1] + "…"


def refusals(stages: Sequence[Stage]) -> list[tuple[Stage, Refused]]:
    return [(stage, entry) for stage in stages for entry in stage.refused]
