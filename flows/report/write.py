"""A run enters; `runs/<name>/report.html` leaves, written from metadata and a few image shards."""

import io
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup
from ruamel.yaml import YAML

from data_specs.errors import SynclrError
from data_specs.run import ROOMS, Run
from flows.inspect.long_captions import long_captions
from flows.report.charts import bar
from flows.report.cover import cover
from flows.report.curves import curves
from flows.report.encoder_view import Sights, sights
from flows.report.funnel import funnel, refusals
from flows.report.galleries import galleries
from flows.report.image_quality import judged
from flows.report.score_tables import tables
from flows.report.sealed_stages import Walked, bytes_on_disk, selection_of, walked_rooms
from flows.runs.folder import folder, read_recipe
from flows.runs.lineages import rows
from flows.runs.recipes import spoken
from flows.runs.throughput import QUICK_SECONDS, busy, figure, per_second
from tasks import storage

PAGE = Path(__file__).with_name("page.html")
VERBS = {
    "concepts": "ingest",
    "captions": "compose",
    "images": "render",
    "encoder": "train",
    "embeddings": "extract",
    "scores": "measure",
}


@dataclass(frozen=True, slots=True)
class Link:
    """One room in the chain: what it holds, by which model, under which lineage; `walked` is False beyond the run's end."""

    room: str
    verb: str
    holds: str
    models: tuple[str, ...]
    lineage: str
    upstream: str
    walked: bool
    facts: str


@dataclass(frozen=True, slots=True)
class Clocked:
    """One room's time and rate in the last walk that made something, and its size on disk."""

    room: str
    seconds: float
    made: str
    rate: str
    unit: str
    busy: str
    size: str
    bar: Markup


def write_report(run: Run) -> str:
    """Returns the path or URL of the report; the same sealed rooms make the same bytes.

    Rooms that the run has not reached, or that its recipe has made stale, are left out and named.
    """
    rooms = walked_rooms(run)
    checkpoints = _checkpoints(rooms.get("encoder"))
    stages = funnel(rooms, run.spec)
    drawn = curves(rooms["encoder"].home.folder) if "encoder" in rooms else []
    scored = tables(rooms.get("scores"))
    sizes = {name: bytes_on_disk(room) for name, room in rooms.items()}
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True
    )
    environment.filters |= {"percent": lambda share: f"{100 * share:.1f}", "words": lambda text: text.replace("_", " ")}
    page = environment.from_string(PAGE.read_text(encoding="utf-8")).render(
        name=run.name,
        source=(source := read_recipe(run.root, run.name)[1]),
        changes=spoken(source["knobs"]),
        seed=run.spec.seed,
        when=_when(rooms),
        walked=list(rooms),
        rooms=ROOMS,
        headline=scored[0] if scored else None,
        galleries=galleries(rooms.get("captions"), rooms.get("images")),
        judged=judged(rooms.get("images")),
        per_caption=run.spec.images.per_caption,
        stages=stages,
        refusals=refusals(stages),
        cover=cover(rooms, run.spec, selection_of(run)),
        long=long_captions(rooms["images"].addresses) if "images" in rooms else None,
        curves=drawn,
        checkpoint=checkpoints[-1] if checkpoints else None,
        sight=_sights(rooms, run),
        tables=scored,
        clocked=_clocked(rooms, run, sizes, checkpoints),
        seconds=duration(sum(room.seconds for room in rooms.values())),
        size=_size(sum(size for size, _ in sizes.values()), all(exact for _, exact in sizes.values())),
        chain=[_link(name, rooms.get(name), run, checkpoints) for name in ROOMS],
        recipe=_yaml(run.spec.model_dump(mode="json")),
    )
    url = f"{folder(run)}/report.html"
    storage.write_bytes(url, page.encode())
    return url


def _sights(rooms: dict[str, Walked], run: Run) -> Sights | str | None:
    """Or why there are none: a report tells of what is still there."""
    try:
        return sights(rooms, run)
    except SynclrError as error:
        return str(error)


def _checkpoints(room: Walked | None) -> list[dict[str, Any]]:
    if room is None:
        return []
    found = [row for address in room.addresses for row in rows(address)]
    return sorted(found, key=lambda row: int(row["step"]))


def _link(name: str, room: Walked | None, run: Run, checkpoints: list[dict[str, Any]]) -> Link:
    if room is None:
        return Link(name, VERBS[name], "not reached", (), "", "", False, "")
    facts, count = room.home.facts, room.sealed.accepted
    models = tuple(map(str, facts["model"])) if "model" in facts else ()
    holds = f"{count:,} {name}"
    if name == "images":
        holds = f"{count * run.spec.images.per_caption:,} images"
    if name == "encoder" and checkpoints:
        holds = f"{checkpoints[-1]['architecture']}, {checkpoints[-1]['step']:,} steps"
    return Link(name, VERBS[name], holds, models, room.home.lineage, str(facts["upstream"] or ""), True, _yaml(facts))


def _clocked(
    rooms: dict[str, Walked], run: Run, sizes: dict[str, tuple[int, bool]], checkpoints: list[dict[str, Any]]
) -> list[Clocked]:
    longest = max((room.seconds for room in rooms.values()), default=0.0)
    found = []
    for name, room in rooms.items():
        rate, unit = per_second(room.sealed, room.seconds, run.spec), name
        if name == "encoder" and checkpoints and room.seconds >= QUICK_SECONDS:
            rate, unit = checkpoints[-1]["step"] / room.seconds, "steps"
        found.append(
            Clocked(
                name,
                room.seconds,
                f"{room.sealed.made} of {room.sealed.shards}",
                "" if rate is None else figure(rate),
                "" if rate is None else f"{unit}/s",
                busy(room.engine_busy),
                _size(*sizes[name]),
                bar(room.seconds, longest, f"{name}: {duration(room.seconds)}", css="time"),
            )
        )
    return found


def _when(rooms: dict[str, Walked]) -> str:
    """When the last room was sealed, and not when the report was written: a report can be written again."""
    latest = max((room.unix_time for room in rooms.values()), default=0.0)
    return datetime.fromtimestamp(latest, UTC).strftime("%Y-%m-%d %H:%M UTC") if latest else ""


def duration(seconds: float) -> str:
    """`1 h 02 min`, `3 min 20 s`, `4.2 s`."""
    if seconds >= 3600:
        return f"{int(seconds // 3600)} h {int(seconds % 3600 // 60):02d} min"
    return f"{int(seconds // 60)} min {int(seconds % 60):02d} s" if seconds >= 60 else f"{seconds:.1f} s"


def _size(count: int, exact: bool) -> str:
    about = "" if exact else "about "
    for unit, scale in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6)):
        if count >= scale:
            return f"{about}{count / scale:.3g} {unit}"
    return f"{about}{count / 1e3:.3g} kB"


def _yaml(tree: Any) -> str:
    stream = io.StringIO()
    writer = YAML(typ="safe", pure=True)
    writer.default_flow_style = None
    writer.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
    writer.width = 110
    writer.dump(tree, stream)
    return stream.getvalue()
