"""Make a small run without engines: its plan, six sealed stages, metrics and scores."""

import hashlib
import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from data_specs import caption, checkpoint, concept, embedding, score
from data_specs.caption import Caption, Sampling
from data_specs.checkpoint import Checkpoint
from data_specs.concept import Concept
from data_specs.contract import Contract
from data_specs.embedding import Embedding
from data_specs.ids import caption_id, concept_id, digest, seed_of
from data_specs.model_identity import ModelIdentity
from data_specs.rejection import Rejection
from data_specs.score import Score
from data_specs.shard import MadeBy
from data_specs.stage import STAGES
from flows.execution.select_captions import select_captions
from flows.execution.stage_run import sum_up
from flows.runs.plan import RunPlan, record_sealed, write_plan
from flows.runs.planning import resolve_plan
from flows.runs.request import Request
from flows.runs.resolve import write_facts
from models.renderer.fake import FakeRenderer
from models.renderer.protocol import Pixels, Renderer
from models.scorer.protocol import Checker, Scorer
from tasks import storage
from tasks.bundles import Work
from tasks.events import ignore
from tasks.images.render import ImageInputs, render_shard
from tasks.images.render_queue import RenderQueue
from tasks.shards import make_shard

NAMES = [
    *((name, "object") for name in ("dog", "red apple", "tram", "owl", "teapot", "guitar", "whale", "cactus")),
    *((name, "place") for name in ("beach", "library")),
    *((name, "texture") for name in ("marble", "woven wool")),
]
SETTINGS: dict[str, dict[str, Any]] = {
    "captions": {"engine": "fake", "total": 48, "per_shard": 12},
    "images": {"engine": "fake", "size": 16, "format": "png"},
    "encoder": {"steps": 60},
    "embeddings": {"benchmarks": ["styles"], "random_inits": 0, "hog": False},
}


def make_run(
    root: str,
    name: str = "made-up",
    until: str = "scores",
    renderer: Renderer | None = None,
    scorer: Scorer | None = None,
    checker: Checker | None = None,
    **overrides: Any,
) -> RunPlan:
    """The plan of a run of the tiny recipe whose stages up to `until` are sealed, with made-up records.

    `overrides` are settings by stage, beside those of `SETTINGS`. A scorer or checker needs its settings there too.
    """
    settings = {stage: SETTINGS.get(stage, {}) | overrides.get(stage, {}) for stage in {*SETTINGS, *overrides}}
    plan = resolve_plan(Request("tiny", name, root, until=until, settings=settings))
    write_plan(plan)
    makers = {
        "concepts": _concepts,
        "captions": _captions,
        "images": lambda plan: _images(
            plan, RenderQueue(renderer or FakeRenderer(16), plan.spec.images, scorer, checker)
        ),
        "encoder": _encoder,
        "embeddings": _embeddings,
        "scores": _scores,
    }
    for stage in plan.requested:
        found = plan.stages[stage]
        write_facts(found)
        makers[stage](plan)
        record_sealed(plan, sum_up(found, found.count, 1.5 + 20 * STAGES.index(stage)))
    return plan


def concepts() -> list[Concept]:
    return [
        Concept(concept_id(kind, name), name, kind, "animals" if kind == "object" else kind, 1 / len(NAMES), ("list",))
        for name, kind in NAMES
    ]


def _concepts(plan: RunPlan) -> None:
    outcomes = [*concepts(), Rejection("x", "merged", "'Dog' of list is 'dog' of list")]
    make_shard(plan.stages["concepts"].table, concept.CONTRACT, lambda: outcomes, made_by=MadeBy(plan.name), tar=False)


def _captions(plan: RunPlan) -> None:
    for address in plan.stages["captions"].shards():
        outcomes = list(_planned(address.index, plan.spec.captions.per_shard))
        make_shard(address, caption.CONTRACT, lambda kept=outcomes: kept, made_by=MadeBy(plan.name))


def _planned(shard: int, count: int) -> Iterable[Caption | Rejection]:
    table = concepts()
    for slot in range(count):
        about = table[(shard * count + slot) % len(table)]
        strategy = ("concept", "background", "relation")[(slot + shard) % 3] if about.kind == "object" else "concept"
        background = "a sunny meadow" if strategy == "background" else None
        relation, other = ("next to", "suitcase") if strategy == "relation" else (None, None)
        prompt_target = f" in {background}" if background else f" next to a {other}" if other else ""
        text = f"A {about.name}{prompt_target}, no. {shard * count + slot}"
        key = f"{about.id}-{shard:06d}-{slot:05d}"
        if slot % 4 == 0:
            yield Rejection(f"{key}-0", "concept_missing", "A photo of <b>something</b> else entirely")
        if slot % 7 == 3:
            yield Rejection(f"{key}-1", "empty", "")
        yield Caption(
            id=caption_id(about.id, 0, shard, slot, text),
            text=text,
            concept_id=about.id,
            concept=about.name,
            kind=about.kind,
            category=about.category,
            strategy=strategy,  # type: ignore[arg-type]
            background=background,
            relation=relation,
            other=other,
            examples=("cat => a cat asleep", "cow => a cow", "fox => a fox & its den"),
            prompt_digest=digest("prompt", slot),
            model=ModelIdentity("fake", "0"),
            sampling=Sampling(0.8, 0.9, 48),
            seed=seed_of(shard, slot),
            shard=shard,
            slot=slot,
            attempt=slot % 2,
        )


def _images(plan: RunPlan, queue: RenderQueue) -> None:
    made_by, stage = MadeBy(plan.name), plan.stages["images"]
    select_captions(plan, made_by, ignore)
    inputs = ImageInputs(plan.stages["captions"], plan.stages["selection"])
    work = Work(stage, tuple(range(stage.count)), plan.spec.images, inputs, plan.spec.seed, made_by)
    for index in work.indices:
        render_shard(work, index, queue)


class ByConcept:
    """A scorer whose means are known: dogs are drawn best, each further concept 0.02 worse; an image's red adds a little."""

    identity = ModelIdentity("by-concept", "0")

    def score(self, images: Sequence[Pixels], texts: Sequence[str]) -> list[float]:
        return [0.3 - 0.02 * _place(text) + 0.01 * red(each) for each, text in zip(images, texts, strict=True)]


class ByRed:
    """A checker that finds every image unsafe that is more than 0.5 red."""

    identity = ModelIdentity("by-red", "0")

    def check(self, images: Sequence[Pixels]) -> list[float]:
        return [red(each) - 0.5 for each in images]


def looked_at(folder: Path, **images: Any) -> dict[str, Any]:
    """What `make_run` takes for images that are scored, and flagged where they are unsafe; `images` are more settings."""
    folder.mkdir()
    (folder / "model.safetensors").touch()  # what a checker's identity is the digest of
    settings = {"scorer": {"engine": "fake", "model": "fake"}, "safety": {"policy": "keep", "model": str(folder)}}
    return {"scorer": ByConcept(), "checker": ByRed(), "images": settings | images}


def red(pixels: Pixels) -> float:
    return float(pixels[..., 0].mean())


def _place(text: str) -> int:
    return next(number for number, (name, _) in enumerate(NAMES) if text.startswith(f"A {name}"))


def _encoder(plan: RunPlan) -> None:
    stage, images, steps = plan.stages["encoder"], plan.stages["images"], plan.spec.encoder.steps
    log = [
        {
            "step": step,
            "loss": 9.5 - 3 * step / steps + math.sin(step) / 4,
            "terms": {"multi_positive": 4 - step / steps, "ibot": 5.5 - 2 * step / steps + math.sin(step) / 4},
            "lr": step / steps / 1000,
        }
        for step in range(steps)
    ]
    text = "".join(json.dumps(line) + "\n" for line in log) + '{"step": 60, "lo'
    storage.write_bytes(f"{stage.folder}/metrics.jsonl", text.encode())
    config = b"{}" * 500
    storage.write_bytes(f"{stage.folder}/encoder/config.json", config)
    seen = tuple(address.stem for address in images.shards())
    made = Checkpoint(
        f"{stage.lineage}-{steps}", steps, steps, "vit_tiny", "synclr", 0, steps * 64, images.lineage, seen,
        {"encoder/config.json": hashlib.sha256(config).hexdigest()}, {"ibot": 3.5, "multi_positive": 3.0},
    )  # fmt: skip
    make_shard(stage.table, checkpoint.CONTRACT, lambda: [made], made_by=MadeBy(plan.name), tar=False)


def _embeddings(plan: RunPlan) -> None:
    for address in plan.stages["embeddings"].shards():
        made = Embedding(f"e{address.index}", "trained", "styles", "twemoji", ("dog",), "animals", 0, 2, b"\0" * 8)
        make_shard(address, embedding.CONTRACT, lambda one=made: [one], made_by=MadeBy(plan.name))


def _scores(plan: RunPlan) -> None:
    first = Score("", "", "styles", "all", "ridge", "top1", "", 0, 0.0, 0.0, 0.0, 1 / 192, 3072, 768, {"penalty": 1.0})
    made = []
    for benchmark, chance in (("styles", 1 / 192), ("training_styles", 1 / 192)):
        for protocol in ("knn", "ridge"):
            for encoder, level in (("trained", 0.31), ("random-0", 0.07), ("random-1", 0.08), ("hog", 0.131)):
                for number, fold in enumerate(("emojione", "openmoji", "twemoji")):
                    made.append(
                        replace(
                            first,
                            id="-".join((benchmark, protocol, encoder, fold)),
                            encoder=encoder,
                            benchmark=benchmark,
                            protocol=protocol,
                            fold=fold,
                            chance=chance,
                            value=(value := level * (1 + 0.1 * number) * (0.8 if protocol == "knn" else 1)),
                            low=0.9 * value,
                            high=1.1 * value,
                        )
                    )
    contract: Contract[Score] = score.CONTRACT
    for address in plan.stages["scores"].shards():
        found = made if address.index == 0 else []
        make_shard(address, contract, lambda found=found: found, made_by=MadeBy(plan.name), tar=False)
