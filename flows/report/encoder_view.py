"""The encoder and embeddings of a run enter; a few benchmark pictures leave as the encoder sees them.

Beside each its patch features in colours and its nearest in the benchmark, by this encoder and by what it must beat.
"""

import base64
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
from PIL import Image

from data_specs import benchmark_image as picture
from data_specs import embedding
from data_specs.benchmark_image import Picture
from data_specs.errors import ContractError
from data_specs.ids import digest
from data_specs.run import Run
from data_specs.shard import ShardAddress
from flows.report.sealed_stages import Walked
from models.embedder.vit import VitEmbedder
from models.encoder.exported import load_exported
from models.probes.labels import Features
from tasks.embeddings.benchmarks import benchmark_of
from tasks.embeddings.extract import benchmark_shards, trained_files
from tasks.embeddings.jobs import Look, looks
from tasks.embeddings.visualise import nearest, principal_colours
from tasks.scores.summary import NAMES
from tasks.shards import read_rows, read_shard, sealed

PICTURES, NEIGHBOURS = 6, 5
MOST_LOOKED_AT = 10_000
"""Pictures of a benchmark among which neighbours are sought."""
ENLARGED = 2
"""Of the side trained at: four times as many patches. The paper, too, looks at larger pictures than it trained on."""
SIDE, QUALITY = 64, 70


@dataclass(frozen=True, slots=True)
class Seen:
    """One picture of the benchmark; `alike` says whether it shows what the picture asked about shows."""

    uri: str
    label: str
    group: str
    alike: bool


@dataclass(frozen=True, slots=True)
class Sight:
    """`patches` is the picture in colours of its patch features; `rows` are its neighbours by the encoders of `Sights`."""

    asked: Seen
    patches: str
    rows: tuple[tuple[Seen, ...], ...]


@dataclass(frozen=True, slots=True)
class Sights:
    """`alike` counts, encoder by encoder, the neighbours that show what was asked about, of `of` each."""

    benchmark: str
    pictures: int
    encoders: tuple[str, ...]
    alike: tuple[int, ...]
    of: int
    sights: tuple[Sight, ...]


def sights(rooms: dict[str, Walked], run: Run) -> Sights | None:
    """None where nothing was embedded. Raises SpecError or ContractError where the benchmark or the encoder is gone."""
    if "embeddings" not in rooms:
        return None
    plan = looks(run.spec)
    first = plan[0]
    benchmark = benchmark_shards(run.root, benchmark_of(run.spec.embeddings, first.benchmark, first.seed))
    if not all(map(sealed, benchmark)):
        raise ContractError(f"the pictures of benchmark {first.benchmark!r} are not in this root")
    rows = [row for shard in benchmark for row in read_rows(shard, ["id", "labels", "group"]).to_pylist()]
    rows = rows[:MOST_LOOKED_AT]
    asked = _asked(rows)
    compared = [first, *(look for look in _to_beat(plan) if look.benchmark == first.benchmark)][:2]
    groups = [row["group"] for row in rows]
    found = []
    for look in compared:
        features = _features(rooms["embeddings"].addresses[plan.index(look)], rows, look.encoder)
        found.append(nearest(features, groups, asked, NEIGHBOURS))
    wanted = {rows[number]["id"] for number in [*asked, *(n for near in found for row in near for n in row)]}
    pictures = {one.id: one for one in _pictures(benchmark, wanted)}
    colours = _colours(rooms["encoder"], [pictures[rows[number]["id"]] for number in asked])

    def seen(number: int, like: int) -> Seen:
        one = pictures[rows[number]["id"]]
        return Seen(_small(one.data), ", ".join(one.labels), one.group, bool({*one.labels} & {*rows[like]["labels"]}))

    shown = tuple(
        Sight(seen(number, number), colour, tuple(tuple(seen(n, number) for n in near[place]) for near in found))
        for place, (number, colour) in enumerate(zip(asked, colours, strict=True))
    )
    return Sights(
        first.benchmark,
        len(rows),
        tuple(NAMES.get(look.encoder.partition("-")[0], look.encoder) for look in compared),
        tuple(sum(one.alike for sight in shown for one in sight.rows[place]) for place in range(len(compared))),
        sum(len(sight.rows[0]) for sight in shown),
        shown,
    )


def _asked(rows: Sequence[dict[str, object]]) -> list[int]:
    """By a draw that follows from the ids, each class once."""
    drawn = sorted(range(len(rows)), key=lambda number: digest("report", str(rows[number]["id"])))
    first: dict[str, int] = {}
    for number in drawn:
        first.setdefault(str(rows[number]["labels"]), number)
    return list(first.values())[:PICTURES]


def _to_beat(plan: Sequence[Look]) -> Iterator[Look]:
    """HOG before fresh weights."""
    for kind in ("hog", "random-0"):
        yield from (look for look in plan if look.encoder == kind)


def _features(shard: ShardAddress, rows: Sequence[dict[str, str]], encoder: str) -> Features:
    """In the order of the pictures. Raises ContractError if one has none."""
    found = {
        one.id: np.frombuffer(one.feature, "<f4") for one in islice(read_shard(shard, embedding.CONTRACT), len(rows))
    }
    try:
        return np.stack([found[digest(row["id"], encoder)] for row in rows])
    except KeyError as error:
        raise ContractError(f"{shard.stem} of {shard.folder} lacks pictures of its benchmark") from error


def _pictures(benchmark: Sequence[ShardAddress], wanted: set[str]) -> Iterator[Picture]:
    for shard in benchmark:
        yield from (one for one in read_shard(shard, picture.CONTRACT) if one.id in wanted)


def _colours(encoder: Walked, pictures: Sequence[Picture]) -> list[str]:
    embedder = VitEmbedder(load_exported(trained_files(encoder.addresses[0])), "mean")
    pixels = np.stack([np.asarray(_opened(one.data)) for one in pictures])
    colours_NP3 = principal_colours(embedder.patches(pixels, ENLARGED))
    side = round(colours_NP3.shape[1] ** 0.5)
    return [_uri(Image.fromarray(one.reshape(side, side, 3)), "PNG") for one in colours_NP3]


def _opened(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data)).convert("RGB")


def _small(data: bytes) -> str:
    small = _opened(data)
    small.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
    return _uri(small, "WEBP")


def _uri(small: Image.Image, form: str) -> str:
    stream = io.BytesIO()
    small.save(stream, form, **({"quality": QUALITY, "method": 4} if form == "WEBP" else {"optimize": True}))
    return f"data:image/{form.lower()};base64,{base64.b64encode(stream.getvalue()).decode()}"
