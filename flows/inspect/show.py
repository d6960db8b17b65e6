"""Show the record of a concept, caption, image, checkpoint or shard as a dict, and its images as a contact sheet."""

import difflib
import re
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import Any

from data_specs import caption as caption_record
from data_specs import image_group
from data_specs.errors import SpecError
from data_specs.image_group import CLIP, ImageGroup, shown
from data_specs.stage import Stage
from flows.inspect.contact_sheet import MOST_ROWS, Row, contact_sheet
from flows.runs.lineages import RowMatch, find_rows, rows, runs_pointing_at, shard_location, stage_of, stages_under
from tasks import storage
from tasks.shards import read_rejects, read_rows, read_shard, require_sealed, sealed, sealed_shards

CONCEPT = re.compile(r"[0-9a-f]{10}")
CAPTION = re.compile(r"[0-9a-f]{10}-[0-9a-f]{16}")
IMAGE = re.compile(rf"({CAPTION.pattern})/(\d+)")
CHECKPOINT = re.compile(r"[0-9a-f]{16}-\d+")
FORMS = (
    "a concept's id or name, a caption's id, <caption id>/<copy>, a checkpoint's id, or a shard such as images-000003"
)


def show(
    root: str, key_or_shard: str, out: Path | None = None, name: str | None = None, *, head: int | None = None
) -> dict[str, Any]:
    """Find a key or shard, and write its images to a contact sheet; an unsafe image is there only if its own key is given.

    Returns `{"key", "is", "records", "sheet"}`: a record for each lineage that holds the key, with the `shard` it stands in
    (see `shard_location`); `sheet` is the path of the PNG, or None where there are no images.

    Args:
        root: where outputs lie; a local path or fsspec URL.
        out: where the PNG goes; else `<root>/shown/<key>.png`, or the temporary folder if the root is remote.
        name: look only at what this run sealed last; else at every lineage, the newest run's first.
        head: of a shard, read only so many records and rejects; its manifest counts them all. None: every one.

    Raises:
        SpecError: nothing under the root has this key.
    """
    key = key_or_shard.strip()
    if stem := stage_of(key):
        return _shard(root, *stem, out, name, head)
    if image := IMAGE.fullmatch(key):
        return _image(root, image[1], int(image[2]), out, name)
    if CAPTION.fullmatch(key):
        return _caption(root, key, out, name)
    if CHECKPOINT.fullmatch(key):
        return _checkpoint(root, key, name)
    return _concept(root, key, name)


def unknown(root: str, key: str, name: str | None, *, also: str = "") -> SpecError:
    where = f"run {name!r} under {root!r}" if name else f"{root!r}"
    return SpecError(f"nothing in {where} has the key {key!r}{also}; a key is {FORMS}")


def _concept(root: str, key: str, name: str | None) -> dict[str, Any]:
    tables = stages_under(root, "concepts", name)
    column = "id" if CONCEPT.fullmatch(key) else "name"
    if found := list(find_rows(tables, column, key)):
        return _answer(key, "concept", [_record(root, match, {"record": match.row}) for match in found], None)
    shards = [address for stage in tables for address in sealed_shards(stage)]
    names = [name for address in shards for name in read_rows(address, ["name"])["name"].to_pylist()]
    close = difflib.get_close_matches(key, names, 1)
    raise unknown(root, key, name, also=f"; did you mean {close[0]!r}?" if close else "")


def _checkpoint(root: str, key: str, name: str | None) -> dict[str, Any]:
    found = list(find_rows(stages_under(root, "encoder", name), "id", key))
    if not found:
        raise unknown(root, key, name)
    return _answer(key, "checkpoint", [_record(root, match, {"record": match.row}) for match in found], None)


def _caption(root: str, key: str, out: Path | None, name: str | None) -> dict[str, Any]:
    captions = list(find_rows(stages_under(root, "captions", name), "id", key))
    rendered = list(find_rows(stages_under(root, "images", name), "id", key))
    if not captions and not rendered:
        raise unknown(root, key, name)
    sheet = [_row(shown(_group(match)), match) for match in rendered]
    records = [_record(root, match, {"record": match.row}) for match in [*captions, *rendered]]
    return _answer(key, "caption", records, _save(root, key, sheet, out))


def _image(root: str, caption: str, copy: int, out: Path | None, name: str | None) -> dict[str, Any]:
    key = f"{caption}/{copy}"
    records, sheet = [], []
    for match in find_rows(stages_under(root, "images", name), "id", caption):
        row = match.row
        if copy >= len(row["images"]):
            raise SpecError(f"caption {caption!r} has {len(row['images'])} images, counted from 0: no {copy}")
        record, about = row["images"][copy], {part: row[part] for part in caption_record.SCHEMA.names}
        own = {part: row[part] for part in image_group.OWN if part != "images"}
        records.append(_record(root, match, {"record": record, **own, "caption": about}))
        sheet.append(Row(about["text"], f"{key}  seed {record['seed']}{scores(record)}", [_group(match).pixels[copy]]))
    if not records:
        raise unknown(root, key, name)
    return _answer(key, "image", records, _save(root, key, sheet, out))


def _shard(root: str, stage: str, index: int, out: Path | None, name: str | None, head: int | None) -> dict[str, Any]:
    key = f"{stage}-{index:06d}"
    holding = holding_shard(root, stage, index, name)
    if not holding:
        raise unknown(root, key, name)
    if len(holding) > 1 and not runs_pointing_at(root, holding[0]):
        lineages = ", ".join(each.lineage for each in holding)
        raise SpecError(
            f"{key} is in {len(holding)} lineages that no run points at ({lineages}): name a run with --name"
        )
    address = holding[0].shard(index)
    record = {
        "manifest": require_sealed(address).model_dump(mode="json"),
        "records": rows(address, head),
        "rejects": [asdict(each) for each in read_rejects(address)[:head]],
        "also_in": [other.lineage for other in holding[1:]],
    }
    sheet = []
    if stage == "images":
        for group in islice(read_shard(address, image_group.CONTRACT), MOST_ROWS):
            sheet.append(Row(group.caption.text, group.caption.id, shown(group).pixels))
    return _answer(key, "shard", [{"shard": shard_location(address), **record}], _save(root, key, sheet, out))


def holding_shard(root: str, stage: str, index: int, name: str | None) -> list[Stage]:
    """The lineages in which this shard is sealed, the newest run's first; `name`: only that run's."""
    return [each for each in stages_under(root, stage, name) if sealed(each.shard(index))]


def _record(root: str, match: RowMatch, parts: dict[str, Any]) -> dict[str, Any]:
    return {"shard": shard_location(match.address), "runs": runs_pointing_at(root, match.stage), **parts}


def _answer(key: str, what: str, records: Sequence[dict[str, Any]], sheet: str | None) -> dict[str, Any]:
    return {"key": key, "is": what, "records": list(records), "sheet": sheet}


def _group(match: RowMatch) -> ImageGroup:
    groups = read_shard(match.address, image_group.CONTRACT)
    return next(group for group in groups if group.caption.id == match.row["id"])


def _row(group: ImageGroup, match: RowMatch) -> Row:
    made = group.rendering
    how = f"{made.model.id}, CFG {made.guidance_scale:g}, {made.steps} steps, {match.stage.lineage}"
    fits = [f"{image.scores[CLIP]:.3f}" for image in group.images if CLIP in image.scores]
    return Row(group.caption.text, ", ".join([how, *fits]), group.pixels)


def scores(image: Mapping[str, Any]) -> str:
    """Format the scores of an image's record, or of one that was not kept: `, clip 0.271, safety -0.104, unsafe`."""
    listed = "".join(f", {name} {value:.3f}" for name, value in image["scores"].items())
    return listed + (", unsafe" if image.get("unsafe") else "")


def _save(root: str, key: str, sheet: Sequence[Row], out: Path | None) -> str | None:
    if not any(row.images for row in sheet):
        return None
    if out is None:
        folder = storage.local_path(root) / "shown" if storage.is_local(root) else Path(tempfile.gettempdir())
        out = folder / f"{key.replace('/', '-')}.png"
    storage.write_bytes(str(out), contact_sheet(sheet))
    return str(out)
