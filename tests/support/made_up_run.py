"""A root and a recipe enter; a small run leaves, made without engines: six sealed rooms, pointers, metrics and scores."""

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
from data_specs.run import ROOMS, Run, RunSpec
from data_specs.score import Score
from flows.execution.select_captions import select_captions
from flows.runs.folder import point, summarise, write_recipe
from flows.runs.resolve import Room, rooms
from models.renderer.fake import FakeRenderer
from models.renderer.protocol import Pixels, Renderer
from models.scorer.protocol import Checker, Scorer
from tasks import storage
from tasks.images.render import Work, render_shard
from tasks.images.render_queue import RenderQueue
from tasks.shards import make_shard

NAMES = [
    *((name, "object") for name in ("dog", "red apple", "tram", "owl", "teapot", "guitar", "whale", "cactus")),
    *((name, "place") for name in ("beach", "library")),
    *((name, "texture") for name in ("marble", "woven wool")),
]
SPEC = {
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
) -> Run:
    """`overrides` are knobs by room, beside those of `SPEC`; what looks at pictures needs its knobs too."""
    both = {room: SPEC.get(room, {}) | overrides.get(room, {}) for room in {*SPEC, *overrides}}
    run = Run(name=name, root=root, spec=RunSpec.model_validate(both))
    write_recipe(run, {"recipe": "tiny", "knobs": {"captions": {"total": 48}}})
    walked = rooms(run.spec, root)
    makers = {
        "concepts": _concepts,
        "captions": _captions,
        "images": lambda at, run: _images(
            at, run, RenderQueue(renderer or FakeRenderer(16), run.spec.images, scorer, checker)
        ),
        "encoder": _encoder,
        "embeddings": _embeddings,
        "scores": _scores,
    }
    for room in ROOMS[: ROOMS.index(until) + 1]:
        walked[room].remember()
        makers[room](walked, run)
        point(run, summarise(walked[room], made=len(walked[room].shards)), seconds=1.5 + 20 * ROOMS.index(room))
    return run


def concepts() -> list[Concept]:
    return [
        Concept(concept_id(kind, name), name, kind, "animals" if kind == "object" else kind, 1 / len(NAMES), ("list",))
        for name, kind in NAMES
    ]


def _concepts(walked: dict[str, Room], run: Run) -> None:
    outcomes = [*concepts(), Rejection("x", "merged", "'Dog' of list is 'dog' of list")]
    make_shard(walked["concepts"].table, concept.CONTRACT, lambda: outcomes, run=run.name, tar=False)


def _captions(walked: dict[str, Room], run: Run) -> None:
    for address in walked["captions"].shards:
        outcomes = list(_planned(address.index, run.spec.captions.per_shard))
        make_shard(address, caption.CONTRACT, lambda kept=outcomes: kept, run=run.name)


def _planned(shard: int, count: int) -> Iterable[Caption | Rejection]:
    table = concepts()
    for slot in range(count):
        about = table[(shard * count + slot) % len(table)]
        strategy = ("concept", "background", "relation")[(slot + shard) % 3] if about.kind == "object" else "concept"
        background = "a sunny meadow" if strategy == "background" else None
        relation, other = ("next to", "suitcase") if strategy == "relation" else (None, None)
        aim = f" in {background}" if background else f" next to a {other}" if other else ""
        text = f"A {about.name}{aim}, no. {shard * count + slot}"
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


def _images(walked: dict[str, Room], run: Run, queue: RenderQueue) -> None:
    select_captions(run, run.name)
    shards = (walked[name].shards for name in ("captions", "selection", "images"))
    for shard in zip(*shards, strict=True):
        render_shard(Work(*shard), queue, run.spec.images, seed=0, run=run.name)


class ByConcept:
    """A scorer whose means are known: dogs are drawn best, each further concept 0.02 worse; a picture's red adds a little."""

    identity = ModelIdentity("by-concept", "0")

    def score(self, pictures: Sequence[Pixels], texts: Sequence[str]) -> list[float]:
        return [0.3 - 0.02 * _place(text) + 0.01 * red(each) for each, text in zip(pictures, texts, strict=True)]


class ByRed:
    """A checker that finds every picture unsafe which is more than 0.5 red."""

    identity = ModelIdentity("by-red", "0")

    def check(self, pictures: Sequence[Pixels]) -> list[float]:
        return [red(each) - 0.5 for each in pictures]


def looked_at(folder: Path, **images: Any) -> dict[str, Any]:
    """What `make_run` takes for pictures that are scored, and flagged where they are unsafe; `images` are more knobs."""
    folder.mkdir()
    (folder / "model.safetensors").touch()  # what a checker's identity is the digest of
    knobs = {"scorer": {"engine": "fake", "model": "fake"}, "safety": {"policy": "keep", "model": str(folder)}}
    return {"scorer": ByConcept(), "checker": ByRed(), "images": knobs | images}


def red(pixels: Pixels) -> float:
    return float(pixels[..., 0].mean())


def _place(text: str) -> int:
    return next(number for number, (name, _) in enumerate(NAMES) if text.startswith(f"A {name}"))


def _encoder(walked: dict[str, Room], run: Run) -> None:
    room, images, steps = walked["encoder"], walked["images"], run.spec.encoder.steps
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
    storage.write_bytes(f"{room.folder}/metrics.jsonl", text.encode())
    storage.write_bytes(f"{room.folder}/encoder/config.json", b"{}" * 500)
    seen = tuple(address.stem for address in images.shards)
    made = Checkpoint(
        f"{room.lineage}-{steps}", steps, steps, "vit_tiny", "synclr", 0, steps * 64, images.lineage, seen,
        {"encoder/config.json": "0" * 64}, {"ibot": 3.5, "multi_positive": 3.0},
    )  # fmt: skip
    make_shard(room.table, checkpoint.CONTRACT, lambda: [made], run=run.name, tar=False)


def _embeddings(walked: dict[str, Room], run: Run) -> None:
    for address in walked["embeddings"].shards:
        made = Embedding(f"e{address.index}", "trained", "styles", "twemoji", ("dog",), "animals", 0, 2, b"\0" * 8)
        make_shard(address, embedding.CONTRACT, lambda one=made: [one], run=run.name)


def _scores(walked: dict[str, Room], run: Run) -> None:
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
    for address in walked["scores"].shards:
        found = made if address.index == 0 else []
        make_shard(address, contract, lambda found=found: found, run=run.name, tar=False)
