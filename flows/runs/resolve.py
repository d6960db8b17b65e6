"""Resolve a recipe into stages: the one place where lineages are worked out.

Lineage = digest of (stage, version of its code, its spec without the settings that only say how much or where, the seed, what
it reads, the models it uses). Whoever changes one of them gets another folder; nothing is ever overwritten.
"""

import json
from collections.abc import Iterator, Sequence
from typing import Any

from data_specs.concept import Concept
from data_specs.ids import Lineage, digest
from data_specs.selection import SELECTION
from data_specs.specs.base import LINEAGE_IF_SET, NOT_LINEAGE, Spec
from data_specs.specs.captions import CaptionsSpec
from data_specs.specs.concepts import ListedSource
from data_specs.specs.run import RunSpec
from data_specs.stage import BACKGROUNDS, STAGES, Stage
from models.captioner.build import identify_captioner
from models.encoder.tokenizer import tokenizer_digest
from models.renderer.build import identify_loras, identify_renderer
from models.scorer.build import identify_checker, identify_scorer
from tasks import storage
from tasks.captions.prompt_files import prompts_digest, prompts_of
from tasks.captions.unsafe_words import unsafe_words_digest
from tasks.concepts.background_prompts import prompt_file_digest, prompt_of
from tasks.concepts.ingest import asked_about
from tasks.concepts.sources import fingerprints
from tasks.embeddings.contents import embedding_contents
from tasks.embeddings.data_sets import fingerprint
from tasks.embeddings.jobs import embedding_jobs, metric_of
from tasks.embeddings.templates import load_templates, templates_digest
from tasks.scores.jobs import EvaluationJob, score_contents

VERSIONS = {
    BACKGROUNDS: 1,
    "concepts": 2,
    "captions": 5,
    SELECTION: 1,
    "images": 3,
    "encoder": 4,
    "embeddings": 3,
    "scores": 6,
}
"""Incremented when a stage's code would make other bytes from the same spec."""
CONTENTS = "contents"
"""The fact that identifies what each shard holds by itself: another lineage that has sealed the same lends its files."""


def resolve_stages(spec: RunSpec, root: str, concepts: Sequence[Concept]) -> dict[str, Stage]:
    """Every stage in order; before concepts and images the inner stages `backgrounds` and `selection`, if there are.

    `concepts` are those of the recipe's sources. Reads no shard and starts no engine, but reads every list, prompt and data
    set that the recipe names: called once a run. Raises SpecError for a model or file that is missing.
    """
    shards = -(-spec.captions.total // spec.captions.per_shard)
    made = resolve_concepts(spec, root, concepts)

    def add(name: str, count: int, **facts: Any) -> None:
        upstream = made[STAGES[STAGES.index(name) - 1]].lineage
        settings = lineage_settings(getattr(spec, name))
        made[name] = _stage(name, count, root, spec=settings, upstream=upstream, seed=spec.seed, **facts)

    add("captions", shards, **_caption_facts(spec.captions))
    selection = selection_settings(spec.captions)
    if selection:
        captions = made["captions"].lineage
        made[SELECTION] = _stage(SELECTION, shards, root, spec=selection, upstream=captions, seed=spec.seed)
    add("images", shards, selection=selection, **_image_facts(spec))
    # What an encoder learns depends on every image it sees, so here, and only here, the number of shards counts.
    tokenizer = tokenizer_digest(spec.encoder)
    add("encoder", 1, shards=shards, **({"tokenizer": tokenizer} if tokenizer else {}))
    data_sets = {one.name: fingerprint(one) for one in spec.embeddings.data_sets}
    # Sentences about classes are read by a text tower alone.
    text = spec.encoder.text_weight > 0
    templates = templates_digest(load_templates(spec.embeddings.templates)) if text else None
    encoder = made["encoder"].lineage
    embedded = embedding_contents(spec, VERSIONS["embeddings"], encoder, data_sets, templates)
    add("embeddings", len(embedded), data_sets=data_sets, templates=templates, contents=embedded)
    jobs, settings = evaluation_jobs(spec), lineage_settings(spec.scores)
    scored = score_contents(VERSIONS["scores"], settings, embedded, jobs, made["concepts"].lineage)
    add("scores", len(scored), contents=scored)
    return made


def evaluation_jobs(spec: RunSpec) -> tuple[EvaluationJob, ...]:
    """How each embedding shard is scored. Judges know what lists append to names (`Audi A4 2008 car`): no benchmark does."""
    appended = {one.append for one in spec.concepts.sources if isinstance(one, ListedSource)} - {""}
    return tuple(
        EvaluationJob(job.seed, metric_of(spec.embeddings, job.benchmark), tuple(sorted(appended)))
        for job in embedding_jobs(spec)
    )


def resolve_concepts(spec: RunSpec, root: str, concepts: Sequence[Concept]) -> dict[str, Stage]:
    """The concepts stage, and the backgrounds stage inside it if a language model is to write backgrounds.

    The lineage of backgrounds knows the names alone, so other weights or places ask for nothing again.
    """
    found: dict[str, Stage] = {}
    by, objects = spec.concepts.backgrounds_by, asked_about(concepts, spec.concepts)
    if by is not None and objects:
        model = identify_captioner(by)
        found[BACKGROUNDS] = _stage(
            BACKGROUNDS,
            -(-len(objects) // by.per_shard),
            root,
            spec=lineage_settings(by),
            upstream=None,
            seed=spec.seed,
            model=[model.id, model.revision],
            prompts=prompt_file_digest(prompt_of(by), chat=by.chat),
            names=digest(*(f"{each.id} {each.name}" for each in objects)),
        )
    written = {name: stage.lineage for name, stage in found.items()}
    settings, sources = lineage_settings(spec.concepts), fingerprints(spec.concepts)
    return found | {"concepts": _stage("concepts", 1, root, spec=settings, upstream=None, sources=sources, **written)}


def _caption_facts(spec: CaptionsSpec) -> dict[str, Any]:
    model, words = identify_captioner(spec), spec.unsafe_words
    facts = {"model": [model.id, model.revision], "prompts": prompts_digest(prompts_of(spec), chat=spec.chat)}
    return facts if words is None else facts | {"unsafe_words": unsafe_words_digest(words)}


def _image_facts(spec: RunSpec) -> dict[str, Any]:
    renderer = identify_renderer(spec.images)
    judges = {"scorer": identify_scorer(spec.images), "checker": identify_checker(spec.images)}
    facts: dict[str, Any] = {name: [model.id, model.revision] for name, model in judges.items() if model}
    if loras := [[lora.model.id, lora.model.revision] for lora in identify_loras(spec.images)]:
        facts["loras"] = loras
    return {"model": [renderer.id, renderer.revision]} | facts


def _stage(name: str, count: int, root: str, **facts: Any) -> Stage:
    described = json.loads(json.dumps({"stage": name, "version": VERSIONS[name], **facts}))
    lineage = Lineage(digest(json.dumps(described, sort_keys=True)))
    folder = f"{root.rstrip('/')}/{name}/{lineage}"
    return Stage(name=name, lineage=lineage, folder=folder, count=count, facts=described)


def lineage_settings(spec: Spec) -> dict[str, Any]:
    """The spec without fields outside the lineage, and without later fields that are still at their default."""
    settings = spec.model_dump(mode="json")
    for name, field in type(spec).model_fields.items():
        value, mark = getattr(spec, name), field.json_schema_extra
        if mark == NOT_LINEAGE or (mark == LINEAGE_IF_SET and value == field.default):
            del settings[name]
        elif isinstance(value, Spec):
            settings[name] = lineage_settings(value)
    return settings


def selection_settings(spec: CaptionsSpec) -> dict[str, Any] | None:
    """By what captions are left out across shards; None where all are rendered."""
    if spec.across_shards is None and spec.balance is None:
        return None
    near = spec.near_duplicates if spec.across_shards == "near" else None
    settings = {"across_shards": spec.across_shards, "near_duplicates": near, "balance": spec.balance}
    return settings | {"version": VERSIONS[SELECTION]}  # in the lineage of images, which do not read that stage's


def write_facts(stage: Stage) -> None:
    """Keep what the lineage is the digest of beside the shards, once."""
    url = f"{stage.folder}/lineage.json"
    if storage.read_bytes(url) is None:
        storage.write_bytes(url, json.dumps(stage.facts, indent=2, sort_keys=True).encode())


def stale_fields(stage: Stage, before: Stage | None) -> list[str]:
    """Which fields of the recipe make `stage` another lineage than the one that the run sealed before; empty if none."""
    if before is None or before.lineage == stage.lineage:
        return []
    old, new = ({key: value for key, value in each.facts.items() if key != CONTENTS} for each in (before, stage))
    return list(differences(old, new)) or [CONTENTS]


def differences(old: Any, new: Any) -> Iterator[str]:
    """Which field made a lineage stale: `spec.steps 300 -> 600`."""
    for path, before, after in changed_fields(old, new):
        yield f"{path} {json.dumps(before)} -> {json.dumps(after)}"


def changed_fields(old: Any, new: Any, path: str = "") -> Iterator[tuple[str, Any, Any]]:
    """The path of each field in which two trees differ, and its two values; None where one has no such field."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted(old.keys() | new.keys()):
            yield from changed_fields(old.get(key), new.get(key), f"{path}.{key}" if path else str(key))
    elif old != new:
        yield path, old, new
