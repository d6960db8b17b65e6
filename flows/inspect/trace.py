"""Trace a caption or image back to its concept, and forward to the checkpoints that saw it."""

from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from data_specs.errors import ContractError, SpecError
from data_specs.ids import background_id, category_id
from data_specs.selection import SELECTION
from data_specs.stage import BACKGROUNDS, Stage
from flows.inspect.prompt import prompt_turns
from flows.inspect.readable import readable
from flows.inspect.show import CAPTION, CHECKPOINT, CONCEPT, IMAGE, scores, unknown
from flows.runs.lineages import RowMatch, find_rows, rows, runs_pointing_at, shard_location, stage_at, stages_under
from flows.runs.plan import RunPlan, read_plan
from tasks.scores.summary import headline
from tasks.shards import missing, sealed_shards


def trace(root: str, key: str, name: str | None = None) -> dict[str, Any]:
    """Where a caption or image came from, and which checkpoints saw it; JSON-able, read from metadata alone.

    Follows the caption as the newest run (or the run `name`) has it; `also_in` names other lineages that hold the same key.
    Keys: `key`, `is`, `caption`, `plan`, `prompt` (None where its run is gone), `background` (None where no LLM wrote one),
    `captioner`, `concept`, `left_out` (None, or why it is not rendered), `images` (None where nothing was rendered),
    `checkpoints`, `also_in`; each part with the `shard` it stands in.

    Raises:
        SpecError: nothing under the root has this key, or it is not a caption's or image's key.
    """
    key = key.strip()
    caption, copy = _parts(key)
    rendered = list(find_rows(stages_under(root, "images", name), "id", caption))
    captions = list(find_rows(stages_under(root, "captions", name), "id", caption))
    return _traced(root, key, copy, captions, rendered, name)


def trace_in(plan: RunPlan, key: str, shard: int) -> dict[str, Any]:
    """The same as a run's plan has it, of which not all need be sealed; `shard` is the index that the caption stands in.

    Reads that shard alone, where `trace` searches all. Raises SpecError.
    """
    caption, copy = _parts(key)
    captions, rendered = (
        list(find_rows([plan.stages[stage]], "id", caption, shard)) for stage in ("captions", "images")
    )
    return _traced(plan.root, key, copy, captions, rendered, plan.name)


def _parts(key: str) -> tuple[str, int | None]:
    """A caption's id, and which of its images; None for all."""
    image = IMAGE.fullmatch(key)
    caption, copy = (image[1], int(image[2])) if image else (key, None)
    if not CAPTION.fullmatch(caption):
        what = "a concept" if CONCEPT.fullmatch(key) else "a checkpoint" if CHECKPOINT.fullmatch(key) else ""
        hint = f"to see {what}: `synclr show {key}`" if what else "`synclr show` finds others"
        raise SpecError(f"{key!r} is neither a caption's id nor <caption id>/<copy>; {hint}")
    return caption, copy


def _traced(
    root: str, key: str, copy: int | None, captions: list[RowMatch], rendered: list[RowMatch], name: str | None
) -> dict[str, Any]:
    if not captions or (copy is not None and not rendered):
        raise unknown(root, key, name)
    words = _source(rendered[0], captions) if rendered else captions[0]
    images = next((match for match in rendered if match.stage.facts["upstream"] == words.stage.lineage), None)
    if copy is not None and (images is None or copy >= len(images.row["images"])):
        raise unknown(root, key, name)
    row, concept = words.row, _concept(root, words)
    return {
        "key": key,
        "is": "caption" if copy is None else "image",
        "concept": concept,
        "caption": {"id": row["id"], "text": row["text"], "attempt": row["attempt"], **_location(root, words)},
        "plan": {
            part: row[part]
            for part in ("strategy", "background", "relation", "other", "examples", "prompt_digest", "shard", "slot")
        },
        "prompt": _prompt(root, words, concept),
        "background": _background(root, words),
        "captioner": {"model": row["model"], "sampling": row["sampling"], "seed": row["seed"]},
        "left_out": None if images else _left_out(root, words, name),
        "images": _images(root, images, copy) if images else None,
        "checkpoints": list(_checkpoints(root, images)) if images else [],
        "also_in": [
            f"{match.stage.name} {match.stage.lineage}"
            for match in [*captions, *rendered]
            if match not in (words, images)
        ],
    }


def lines(traced: dict[str, Any]) -> list[str]:
    """The same for people: from the concept down to the checkpoints."""
    concept, caption, plan, captioner = (traced[part] for part in ("concept", "caption", "plan", "captioner"))
    found = [
        f"concept     {concept['name']}  ({concept['kind']}, {concept['category']})  {concept['id']}",
        *_origin_lines(concept),
        *_background_lines(traced["background"]),
        f"plan        strategy {plan['strategy']}{_prompt_target(plan)}; shard {plan['shard']}, slot {plan['slot']}",
        *(f"            example  {example}" for example in plan["examples"]),
        f"            prompt {plan['prompt_digest']}",
        *_prompt_lines(traced["prompt"]),
        f"captioner   {_model(captioner['model'])}, seed {captioner['seed']}",
        "            " + ", ".join(f"{setting} {value:g}" for setting, value in captioner["sampling"].items()),
        f"caption     {caption['text']}",
        f"            {caption['id']}, try {caption['attempt'] + 1}",
        *_shard_lines(caption["shard"]),
        *_image_lines(traced),
        *_checkpoint_lines(traced["checkpoints"]),
    ]
    if traced["also_in"]:
        found.append(f"also in     {', '.join(traced['also_in'])}")
    return found


def _plans(root: str, runs: list[str]) -> Iterator[RunPlan]:
    for run in runs:
        with suppress(SpecError, ContractError):  # it is gone, or of another version
            yield read_plan(root, run)


def _prompt_lines(prompt: dict[str, Any] | None) -> Iterator[str]:
    """Word by word, as the language model was given it."""
    for turn in prompt["turns"] if prompt else ():
        yield f"            {turn['role']}:"
        yield from (f"            | {line}" for line in turn["text"].splitlines())
    if prompt and prompt["note"]:
        yield f"            {prompt['note']}"


def _image_lines(traced: dict[str, Any]) -> list[str]:
    """The images, or why there are none."""
    images, left_out = traced["images"], traced["left_out"]
    if left_out:
        of = f": repeats {left_out['repeats']} of captions-{left_out['repeats_in']:06d}" if left_out["repeats"] else ""
        return [f"images      none: {left_out['verdict'].replace('_', ' ')}{of}", *_shard_lines(left_out["shard"])]
    if not images:
        return ["images      none rendered yet"]
    how = images["rendering"]
    found = [
        f"renderer    {_model(how['model'])}",
        f"            {how['scheduler']}, {how['steps']} steps, CFG {how['guidance_scale']:g}, "
        f"{how['width']} x {how['height']}, {how['dtype']}",
    ]
    for image in images["images"]:
        found.append(f"image {image['copy']}     {_candidate(image)}")
        found.append(f"            {image['width']} x {image['height']} {image['format']}, sha256 {image['sha256']}")
    found += [f"not kept    {_candidate(lost)}: {lost['reason']}" for lost in images["passed_over"]]
    found += [f"{who:<12}{_model(images[who])}" for who in ("scorer", "checker") if images[who]]
    return found + _shard_lines(images["shard"])


def _checkpoint_lines(checkpoints: list[dict[str, Any]]) -> list[str]:
    found = []
    for checkpoint in checkpoints:
        found.append(
            f"checkpoint  {checkpoint['id']}: {checkpoint['architecture']}, step {checkpoint['step']} of "
            f"{checkpoint['steps']}{_of_runs(checkpoint['runs'])}"
        )
        found += dict.fromkeys(f"            {line}" for scored in checkpoint["scores"] for line in scored["lines"])
        found += _shard_lines(checkpoint["shard"])
    return found or ["checkpoint  none has seen it"]


def _source(images: RowMatch, captions: list[RowMatch]) -> RowMatch:
    """The caption that these images were rendered from, among those of the same id."""
    return next((match for match in captions if match.stage.lineage == images.stage.facts["upstream"]), captions[0])


def _left_out(root: str, words: RowMatch, name: str | None) -> dict[str, Any] | None:
    """The verdict of the newest selection (of the run `name`) over these captions, if it leaves this one out."""
    tables = [each for each in stages_under(root, SELECTION, name) if each.facts["upstream"] == words.stage.lineage]
    found = next(find_rows(tables[:1], "id", words.row["id"], words.address.index), None)
    if found is None or found.row["verdict"] == "kept":
        return None
    return {**{part: found.row[part] for part in ("verdict", "repeats", "repeats_in")}, **_location(root, found)}


def _concept(root: str, words: RowMatch) -> dict[str, Any]:
    table = stage_at(root, "concepts", words.stage.facts["upstream"])
    found = next(find_rows([table], "id", words.row["concept_id"]), None) if table else None
    if found:
        return {**found.row, **_location(root, found)}
    # The table was removed by hand: the caption still carries what it needs to be understood.
    row = words.row
    kept = {"id": row["concept_id"], "name": row["concept"], "kind": row["kind"], "category": row["category"]}
    return {**kept, "weight": None, "sources": [], "backgrounds": [], "shard": None, "runs": []}


def _background(root: str, words: RowMatch) -> dict[str, Any] | None:
    """The record of the caption's background where an LLM wrote it; None where it is the source's own."""
    table = stage_at(root, "concepts", words.stage.facts["upstream"])
    lineage = table.facts.get(BACKGROUNDS) if table and words.row["background"] else None
    backgrounds = stage_at(root, BACKGROUNDS, lineage) if lineage else None
    if backgrounds is None:
        return None
    for owner in (words.row["concept_id"], category_id(words.row["category"])):
        key = background_id(owner, words.row["background"])
        if found := next(find_rows([backgrounds], "id", key), None):
            return {**found.row, **_location(root, found)}
    return None


def _images(root: str, match: RowMatch, copy: int | None) -> dict[str, Any]:
    kept = [image for image in match.row["images"] if copy is None or image["copy"] == copy]
    candidates = {image["candidate"] for image in kept}
    lost = [each for each in match.row["passed_over"] if copy is None or each["candidate"] in candidates]
    own = {part: match.row[part] for part in ("rendering", "scorer", "checker")}
    return {**own, "images": kept, "passed_over": lost, **_location(root, match)}


def _candidate(image: dict[str, Any]) -> str:
    return f"candidate {image['candidate']}, try {image['attempt'] + 1}, seed {image['seed']}{scores(image)}"


def _checkpoints(root: str, images: RowMatch) -> Iterator[dict[str, Any]]:
    for stage in stages_under(root, "encoder"):
        for address in sealed_shards(stage):
            for row in rows(address):
                if row["images_lineage"] == images.stage.lineage and images.address.stem in row["shards"]:
                    kept = ("id", "step", "steps", "architecture", "objective", "seed", "images_seen", "files")
                    location = _location(root, RowMatch(stage, address, row))
                    scores = list(_scores(root, stage, location["runs"]))
                    yield {**{part: row[part] for part in kept}, "scores": scores, **location}


def _scores(root: str, encoder: Stage, runs: list[str]) -> Iterator[dict[str, Any]]:
    """Of each run whose encoder it is, newest first: `run`, and its scores as `lines`, none if they are not there or damaged."""
    for plan in _plans(root, runs):
        if plan.stages["encoder"].lineage == encoder.lineage:
            scores = plan.stages["scores"]
            yield {"run": plan.name, "lines": [] if missing(scores) else readable(headline, scores)[0] or []}


def _prompt(root: str, words: RowMatch, concept: dict[str, Any]) -> dict[str, Any] | None:
    """The turns that the language model was given (one, of a text to continue), built again; a note where that is not certain."""
    for plan in _plans(root, runs_pointing_at(root, words.stage)):
        # Of a concept whose table is gone too little is known.
        if plan.stages["captions"].lineage == words.stage.lineage and concept["weight"] is not None:
            parts = {"plan": words.row, "concept": concept, "caption": words.row}
            turns, note = readable(prompt_turns, plan, parts)[0] or ((), "")
            return {"turns": [{"role": turn.role, "text": turn.text} for turn in turns], "note": note}
    return None


def _location(root: str, match: RowMatch) -> dict[str, Any]:
    return {"shard": shard_location(match.address), "runs": runs_pointing_at(root, match.stage)}


def _prompt_target(plan: dict[str, Any]) -> str:
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
    found = [f"            in {shard['folder']}/{shard['shard']}, sha256 {str(shard['sha256'])[:16]}"]
    if made := shard["made"]:
        when = datetime.fromtimestamp(made["unix_time"], UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
        found.append(f"            made by run {made['run'] or '(unnamed)'}, {when}, in {made['seconds']:g} s")
    return found
