"""A caption's or image's key enters; leaves the way back to its concept and on to the checkpoints that saw it."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from data_specs.errors import SpecError
from data_specs.ids import background_id, category_id
from data_specs.selection import SELECTION
from flows.inspect.show import CAPTION, CONCEPT, IMAGE, scores, unknown
from flows.runs.lineages import Found, Home, find, home_of, homes, rows, whereabouts


def trace(root: str, key: str, name: str | None = None) -> dict[str, Any]:
    """Where a caption or an image came from, and what learned from it; JSON-able, read from metadata alone.

    One straight path: the caption as the newest run (or the run `name`) has it; other lineages that hold the same key
    are named in `also_in`. Keys: `key`, `is`, `caption`, `plan`, `background` (None where no LLM wrote one), `captioner`,
    `concept`, `left_out` (None, or why it is not drawn), `images` (None where nothing was drawn), `checkpoints`, `also_in`;
    each part with the `shard` it stands in.

    Raises:
        SpecError: nothing under the root has this key, or it is no caption's or image's key.
    """
    key = key.strip()
    image = IMAGE.fullmatch(key)
    caption, copy = (image[1], int(image[2])) if image else (key, None)
    if not CAPTION.fullmatch(caption):
        hint = f"to see a concept: `synclr show {key}`" if CONCEPT.fullmatch(key) else "`synclr show` finds others"
        raise SpecError(f"{key!r} is neither a caption's id nor <caption id>/<copy>; {hint}")
    drawn = list(find(homes(root, "images", name), "id", caption))
    written = list(find(homes(root, "captions", name), "id", caption))
    if not written or (copy is not None and not drawn):
        raise unknown(root, key, name)
    words = _upstream(drawn[0], written) if drawn else written[0]
    pictures = next((place for place in drawn if place.home.facts["upstream"] == words.home.lineage), None)
    if copy is not None and (pictures is None or copy >= len(pictures.row["images"])):
        raise unknown(root, key, name)
    row = words.row
    return {
        "key": key,
        "is": "caption" if copy is None else "image",
        "concept": _concept(root, words),
        "caption": {"id": caption, "text": row["text"], "attempt": row["attempt"], **_place(words)},
        "plan": {
            part: row[part]
            for part in ("strategy", "background", "relation", "other", "examples", "prompt_digest", "shard", "slot")
        },
        "background": _background(root, words),
        "captioner": {"model": row["model"], "sampling": row["sampling"], "seed": row["seed"]},
        "left_out": None if pictures else _left_out(root, words, name),
        "images": _images(pictures, copy) if pictures else None,
        "checkpoints": list(_checkpoints(root, pictures)) if pictures else [],
        "also_in": [
            f"{place.home.room} {place.home.lineage}" for place in [*written, *drawn] if place not in (words, pictures)
        ],
    }


def lines(traced: dict[str, Any]) -> list[str]:
    """The same for people: from the concept down to the checkpoints."""
    concept, caption, plan, captioner = (traced[part] for part in ("concept", "caption", "plan", "captioner"))
    told = [
        f"concept     {concept['name']}  ({concept['kind']}, {concept['category']})  {concept['id']}",
        *_origin_lines(concept),
        *_background_lines(traced["background"]),
        f"plan        strategy {plan['strategy']}{_aim(plan)}; shard {plan['shard']}, slot {plan['slot']}",
        *(f"            example  {example}" for example in plan["examples"]),
        f"            prompt {plan['prompt_digest']}",
        f"captioner   {_model(captioner['model'])}, seed {captioner['seed']}",
        "            " + ", ".join(f"{knob} {value:g}" for knob, value in captioner["sampling"].items()),
        f"caption     {caption['text']}",
        f"            {caption['id']}, try {caption['attempt'] + 1}",
        *_shard_lines(caption["shard"]),
    ]
    if pictures := traced["images"]:
        how = pictures["rendering"]
        told += [
            f"renderer    {_model(how['model'])}",
            f"            {how['scheduler']}, {how['steps']} steps, CFG {how['guidance_scale']:g}, "
            f"{how['width']} x {how['height']}, {how['dtype']}",
        ]
        for image in pictures["images"]:
            told.append(f"image {image['copy']}     {_drawing(image)}")
            told.append(f"            {image['width']} x {image['height']} {image['format']}, sha256 {image['sha256']}")
        told += [f"not kept    {_drawing(lost)}: {lost['reason']}" for lost in pictures["passed_over"]]
        told += [f"{who:<12}{_model(pictures[who])}" for who in ("scorer", "checker") if pictures[who]]
        told += _shard_lines(pictures["shard"])
    elif left := traced["left_out"]:
        of = f": repeats {left['repeats']} of captions-{left['repeats_in']:06d}" if left["repeats"] else ""
        told += [f"images      none: {left['verdict'].replace('_', ' ')}{of}", *_shard_lines(left["shard"])]
    else:
        told.append("images      none drawn yet")
    for checkpoint in traced["checkpoints"]:
        told.append(
            f"checkpoint  {checkpoint['id']}: {checkpoint['architecture']}, step {checkpoint['step']} of "
            f"{checkpoint['steps']}{_of_runs(checkpoint['runs'])}"
        )
        told += _shard_lines(checkpoint["shard"])
    if not traced["checkpoints"]:
        told.append("checkpoint  none has seen it")
    if traced["also_in"]:
        told.append(f"also in     {', '.join(traced['also_in'])}")
    return told


def _upstream(pictures: Found, written: list[Found]) -> Found:
    """The caption that these pictures were drawn from, among those of the same id."""
    return next((place for place in written if place.home.lineage == pictures.home.facts["upstream"]), written[0])


def _left_out(root: str, words: Found, name: str | None) -> dict[str, Any] | None:
    """What the latest selection (of the run `name`) that looked at these captions says, if it leaves this one out."""
    looked = [home for home in homes(root, SELECTION, name) if home.facts["upstream"] == words.home.lineage]
    found = next(find(looked[:1], "id", words.row["id"]), None)
    if found is None or found.row["verdict"] == "kept":
        return None
    return {**{part: found.row[part] for part in ("verdict", "repeats", "repeats_in")}, **_place(found)}


def _concept(root: str, words: Found) -> dict[str, Any]:
    table = home_of(root, "concepts", words.home.facts["upstream"])
    found = next(find([table], "id", words.row["concept_id"]), None) if table else None
    if found:
        return {**found.row, **_place(found)}
    # The table was removed by hand: the caption still carries what it needs to be understood.
    row = words.row
    kept = {"id": row["concept_id"], "name": row["concept"], "kind": row["kind"], "category": row["category"]}
    return {**kept, "weight": None, "sources": [], "backgrounds": [], "shard": None, "runs": []}


def _background(root: str, words: Found) -> dict[str, Any] | None:
    """Who wrote the place behind the concept, where its source did not."""
    table = home_of(root, "concepts", words.home.facts["upstream"])
    lineage = table.facts.get("backgrounds") if table and words.row["background"] else None
    written = home_of(root, "backgrounds", lineage) if lineage else None
    owners = (words.row["concept_id"], category_id(words.row["category"]))
    keys = [background_id(owner, words.row["background"]) for owner in owners]
    found = next((place for key in keys for place in find([written], "id", key)), None) if written else None
    return {**found.row, **_place(found)} if found else None


def _images(place: Found, copy: int | None) -> dict[str, Any]:
    kept = [image for image in place.row["images"] if copy is None or image["copy"] == copy]
    chosen = {image["candidate"] for image in kept}
    lost = [each for each in place.row["passed_over"] if copy is None or each["candidate"] in chosen]
    own = {part: place.row[part] for part in ("rendering", "scorer", "checker")}
    return {**own, "images": kept, "passed_over": lost, **_place(place)}


def _drawing(picture: dict[str, Any]) -> str:
    return f"candidate {picture['candidate']}, try {picture['attempt'] + 1}, seed {picture['seed']}{scores(picture)}"


def _checkpoints(root: str, pictures: Found) -> Iterator[dict[str, Any]]:
    for home in homes(root, "encoder"):
        for address in home.shards():
            for row in rows(address):
                if row["images_lineage"] == pictures.home.lineage and pictures.address.stem in row["shards"]:
                    kept = ("id", "step", "steps", "architecture", "objective", "seed", "images_seen", "files")
                    yield {**{part: row[part] for part in kept}, **_place(Found(home, address, row))}


def _place(found: Found) -> dict[str, Any]:
    home: Home = found.home
    return {"shard": whereabouts(found.address), "runs": list(home.runs)}


def _aim(plan: dict[str, Any]) -> str:
    if plan["background"]:
        return f": {plan['background']}"
    return f": {plan['relation']} {plan['other'] or '(any)'}" if plan["relation"] else ""


def _model(model: dict[str, str]) -> str:
    return f"{model['id']} at {model['revision']}"


def _of_runs(runs: list[str]) -> str:
    return f", run {', '.join(runs)}" if runs else ""


def _origin_lines(concept: dict[str, Any]) -> list[str]:
    if concept["shard"] is None:
        return ["            its table is no longer there"]
    origin = f"            weight {concept['weight']:.4g}, from {', '.join(concept['sources']) or 'no source named'}"
    return [origin, *_shard_lines(concept["shard"])]


def _background_lines(background: dict[str, Any] | None) -> list[str]:
    if background is None:
        return []
    by = f"{_model(background['model'])}, seed {background['seed']}, try {background['attempt'] + 1}"
    return [f"background  {background['text']}, written by {by}", *_shard_lines(background["shard"])]


def _shard_lines(shard: dict[str, Any] | None) -> list[str]:
    if shard is None:
        return []
    told = [f"            in {shard['folder']}/{shard['shard']}, sha256 {str(shard['sha256'])[:16]}"]
    if made := shard["made"]:
        when = datetime.fromtimestamp(made["unix_time"], UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
        told.append(f"            made by run {made['run'] or '(unnamed)'}, {when}, in {made['seconds']:g} s")
    return told
