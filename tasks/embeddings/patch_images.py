"""Patch images: a few benchmark images in the colours of the trained encoder's patch features, painted for the report.

They lie beside the first embedding shard, as `<stem>.patches.json`, so that the report needs no encoder.
"""

import base64
import io
import json
from collections.abc import Sequence
from itertools import islice
from typing import Any

import numpy as np
from PIL import Image

from data_specs.errors import ContractError
from data_specs.ids import digest
from data_specs.json_text import parse_json
from data_specs.shard import ShardAddress
from models.embedder.protocol import PatchEmbedder
from tasks import storage
from tasks.embeddings.benchmarks import images_by_id
from tasks.embeddings.visualise import principal_colours
from tasks.shards import read_rows

SHARD = 0
"""Of the stage: the trained encoder on the first benchmark."""
IMAGES = 6
ENLARGED = 2
"""Of the side trained at: four times as many patches. The paper, too, shows larger images than it trained on."""
MOST_ROWS = 10_000
"""Images of a benchmark from which those that are shown are chosen, and among which their neighbours are searched."""
SUFFIX = "patches.json"


def write(address: ShardAddress, benchmark: Sequence[ShardAddress], embedder: PatchEmbedder) -> None:
    """Choose images of a sealed benchmark, paint them and write them beside the embedding shard of this address."""
    ids = choose(first_rows(benchmark))
    images = images_by_id(benchmark, set(ids))
    pixels = np.stack([np.asarray(Image.open(io.BytesIO(images[each].data)).convert("RGB")) for each in ids])
    colours_NP3 = principal_colours(embedder.patches(pixels, ENLARGED))
    side = round(colours_NP3.shape[1] ** 0.5)
    painted = [_png(Image.fromarray(colours_P3.reshape(side, side, 3))) for colours_P3 in colours_NP3]
    encoded = [{"id": each, "png": base64.b64encode(png).decode()} for each, png in zip(ids, painted, strict=True)]
    storage.write_bytes(address.file(SUFFIX), json.dumps(encoded).encode(), apart=True)


def read(address: ShardAddress) -> dict[str, bytes]:
    """Id of the benchmark image -> PNG, in the order in which they were chosen. Raises ContractError if there are none."""
    text = storage.read_bytes(address.file(SUFFIX))
    if text is None:
        raise ContractError(
            f"{address.file(SUFFIX)} is missing: an earlier version sealed this shard without it; remove "
            f"{address.stem}.json and run again to extract it anew"
        )
    return {entry["id"]: base64.b64decode(entry["png"]) for entry in parse_json(text)}


def first_rows(benchmark: Sequence[ShardAddress]) -> list[dict[str, Any]]:
    """`id`, `labels` and `group` of the benchmark's first images, at most `MOST_ROWS`."""
    rows = (row for shard in benchmark for row in read_rows(shard, ["id", "labels", "group"]).to_pylist())
    return list(islice(rows, MOST_ROWS))


def choose(rows: Sequence[dict[str, Any]]) -> list[str]:
    """Ids of `IMAGES` images, each of another class, in an order that follows from the ids alone."""
    first: dict[str, str] = {}
    for row in sorted(rows, key=lambda row: digest("report", str(row["id"]))):
        first.setdefault(str(row["labels"]), row["id"])
    return list(first.values())[:IMAGES]


def _png(image: Image.Image) -> bytes:
    stream = io.BytesIO()
    image.save(stream, "PNG", optimize=True)
    return stream.getvalue()
