"""A key or a shard's name enters; its record leaves as a dict, and its pictures as a contact sheet."""

import difflib
import re
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from data_specs import caption as caption_record
from data_specs import image_group
from data_specs.errors import SpecError
from data_specs.image_group import CLIP, ImageGroup, shown
from data_specs.shard import ShardAddress
from flows.inspect.contact_sheet import MOST_ROWS, Row, contact_sheet
from flows.runs.lineages import Found, Home, find, homes, room_of, rows, whereabouts
from tasks import storage
from tasks.shards import read_rejects, read_shard, require_sealed

CONCEPT = re.compile(r"[0-9a-f]{10}")
CAPTION = re.compile(r"[0-9a-f]{10}-[0-9a-f]{16}")
IMAGE = re.compile(rf"({CAPTION.pattern})/(\d+)")
FORMS = "a concept's id or name, a caption's id, <caption id>/<copy>, or a shard such as images-000003"


def show(root: str, key_or_shard: str, out: Path | None = None, name: str | None = None) -> dict[str, Any]:
    """The record of a concept, caption, image or shard. A picture that is flagged as unsafe is shown by its own key alone.

    Returns `{"key", "is", "records", "sheet"}`: each record with the `shard` it stands in (`whereabouts`), one
    for each lineage that holds the key; `sheet` is the path of the PNG, or None where there are no pictures.

    Args:
        root: where outputs lie; a local path or fsspec URL.
        out: where the PNG goes; else `<root>/shown/<key>.png`, or the temporary folder if the root is remote.
        name: look only at what this run points at; else at every lineage, the newest run's first.

    Raises:
        SpecError: nothing under the root has this key.
    """
    key = key_or_shard.strip()
    if stem := room_of(key):
        return _shard(root, *stem, out, name)
    if image := IMAGE.fullmatch(key):
        return _image(root, image[1], int(image[2]), out, name)
    if CAPTION.fullmatch(key):
        return _caption(root, key, out, name)
    return _concept(root, key, name)


def unknown(root: str, key: str, name: str | None, *, also: str = "") -> SpecError:
    where = f"run {name!r} under {root!r}" if name else f"{root!r}"
    return SpecError(f"nothing in {where} has the key {key!r}{also}; a key is {FORMS}")


def _concept(root: str, key: str, name: str | None) -> dict[str, Any]:
    tables = homes(root, "concepts", name)
    column = "id" if CONCEPT.fullmatch(key) else "name"
    if found := list(find(tables, column, key)):
        return _answer(key, "concept", [_record(place, {"record": place.row}) for place in found], None)
    names = [str(row["name"]) for home in tables for address in home.shards() for row in rows(address)]
    close = difflib.get_close_matches(key, names, 1)
    raise unknown(root, key, name, also=f"; did you mean {close[0]!r}?" if close else "")


def _caption(root: str, key: str, out: Path | None, name: str | None) -> dict[str, Any]:
    written = list(find(homes(root, "captions", name), "id", key))
    drawn = list(find(homes(root, "images", name), "id", key))
    if not written and not drawn:
        raise unknown(root, key, name)
    sheet = [_row(shown(_group(place)), place) for place in drawn]
    records = [_record(place, {"record": place.row}) for place in [*written, *drawn]]
    return _answer(key, "caption", records, _save(root, key, sheet, out))


def _image(root: str, caption: str, copy: int, out: Path | None, name: str | None) -> dict[str, Any]:
    key = f"{caption}/{copy}"
    records, sheet = [], []
    for place in find(homes(root, "images", name), "id", caption):
        if copy >= len(place.row["images"]):
            raise SpecError(f"caption {caption!r} has {len(place.row['images'])} pictures, counted from 0: no {copy}")
        record, about = place.row["images"][copy], {part: place.row[part] for part in caption_record.SCHEMA.names}
        own = {part: place.row[part] for part in image_group.OWN if part != "images"}
        records.append(_record(place, {"record": record, **own, "caption": about}))
        sheet.append(Row(about["text"], f"{key}  seed {record['seed']}{scores(record)}", [_group(place).pixels[copy]]))
    if not records:
        raise unknown(root, key, name)
    return _answer(key, "image", records, _save(root, key, sheet, out))


def _shard(root: str, room: str, index: int, out: Path | None, name: str | None) -> dict[str, Any]:
    holding: list[tuple[Home, ShardAddress]] = []
    for home in homes(root, room, name):
        holding += [(home, address) for address in home.shards() if address.index == index]
    key = f"{room}-{index:06d}"
    if not holding:
        raise unknown(root, key, name)
    if len(holding) > 1 and not holding[0][0].runs:
        lineages = ", ".join(home.lineage for home, _ in holding)
        raise SpecError(
            f"{key} is in {len(holding)} lineages that no run points at ({lineages}): name a run with --name"
        )
    home, address = holding[0]
    record = {
        "manifest": require_sealed(address).model_dump(mode="json"),
        "records": rows(address),
        "rejects": [asdict(each) for each in read_rejects(address)],
        "also_in": [other.lineage for other, _ in holding[1:]],
    }
    sheet = []
    if room == "images":
        for group in read_shard(address, image_group.CONTRACT):
            sheet.append(Row(group.caption.text, group.caption.id, shown(group).pixels))
            if len(sheet) == MOST_ROWS:
                break
    return _answer(key, "shard", [{"shard": whereabouts(address), **record}], _save(root, key, sheet, out))


def _record(place: Found, parts: dict[str, Any]) -> dict[str, Any]:
    return {"shard": whereabouts(place.address), "runs": list(place.home.runs), **parts}


def _answer(key: str, what: str, records: Sequence[dict[str, Any]], sheet: str | None) -> dict[str, Any]:
    return {"key": key, "is": what, "records": list(records), "sheet": sheet}


def _group(place: Found) -> ImageGroup:
    is_it: Callable[[ImageGroup], bool] = lambda group: group.caption.id == place.row["id"]  # noqa: E731
    return next(filter(is_it, read_shard(place.address, image_group.CONTRACT)))


def _row(group: ImageGroup, place: Found) -> Row:
    made = group.rendering
    how = f"{made.model.id}, CFG {made.guidance_scale:g}, {made.steps} steps, {place.home.lineage}"
    fits = [f"{image.scores[CLIP]:.3f}" for image in group.images if CLIP in image.scores]
    return Row(group.caption.text, ", ".join([how, *fits]), group.pixels)


def scores(picture: Mapping[str, Any]) -> str:
    """`, clip 0.271, safety -0.104, unsafe`, of a picture's record or of one that was not kept."""
    told = "".join(f", {name} {value:.3f}" for name, value in picture["scores"].items())
    return told + (", unsafe" if picture.get("unsafe") else "")


def _save(root: str, key: str, sheet: Sequence[Row], out: Path | None) -> str | None:
    if not any(row.pictures for row in sheet):
        return None
    if out is None:
        folder = storage.local_path(root) / "shown" if storage.is_local(root) else Path(tempfile.gettempdir())
        out = folder / f"{key.replace('/', '-')}.png"
    storage.write_bytes(str(out), contact_sheet(sheet))
    return str(out)
