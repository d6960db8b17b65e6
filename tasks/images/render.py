"""Render shards of image groups from shards of captions: a group is complete, or its caption is rejected with a reason."""

import os
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from data_specs import caption as caption_record
from data_specs import image_group
from data_specs.caption import Caption
from data_specs.errors import ContractError, SpecError
from data_specs.ids import CaptionId, image_seed
from data_specs.image_group import ImageGroup
from data_specs.rejection import Rejection
from data_specs.shard import ShardAddress, ShardManifest
from data_specs.specs.images import ImagesSpec
from data_specs.stage import Stage
from models.renderer.protocol import RenderRequest
from tasks.bundles import Work, require_planned
from tasks.claimed_shards import missing_first
from tasks.engines import EngineProcess, loaded
from tasks.events import Advanced, Emit, Worked, ignore
from tasks.images.candidates import FAULTS, Candidates
from tasks.images.render_queue import RenderQueue, open_queue
from tasks.shards import make_shard, read_rows, read_shard

IN_HAND = 2
"""Shards of one engine at a time: one is rendered while the one before is encoded and sealed."""
AT_A_TIME = 1024
"""Captions whose images are in memory; a power of two, so that batches are full."""
FEW = 8
"""Below this many captions the share that was kept means nothing: a selection may leave a shard one or two."""


@dataclass(frozen=True, slots=True)
class ImageInputs:
    """Shard i of the images is rendered from shard i of the captions, without those that shard i of the selection refuses."""

    captions: Stage
    selection: Stage | None


def render(
    captions: Sequence[Caption],
    queue: RenderQueue,
    spec: ImagesSpec,
    seed: int,
    priority: int | None = None,
    *,
    run: str = "",
    emit: Emit = ignore,
) -> Iterator[ImageGroup | Rejection]:
    """Render every caption's candidates, and faulty ones again with the next attempt; yields groups in caption order.

    All images of an attempt go to the engine together, in the order (caption, candidate), so the content of each batch
    depends on the shard alone. Of a large shard, the images of `AT_A_TIME` captions are in memory.
    """
    priority, reported = queue.next_priority() if priority is None else priority, 0
    try:
        for start in range(0, len(captions), AT_A_TIME):
            part = captions[start : start + AT_A_TIME]
            candidates = [Candidates(about, spec) for about in part]
            for attempt in range(spec.attempts):
                wanted = [(row, candidate) for row, each in enumerate(candidates) for candidate in each.wanted()]
                seeds = [image_seed(seed, part[row].id, candidate, attempt) for row, candidate in wanted]
                requests = [RenderRequest(part[row].text, noise) for (row, _), noise in zip(wanted, seeds, strict=True)]
                attempts = queue.attempts(priority, requests)
                for (row, candidate), noise, made in zip(wanted, seeds, attempts, strict=True):
                    candidates[row].add(candidate, noise, attempt, made)
                    if attempt == 0 and candidate == spec.drawn_per_caption - 1:
                        reported += spec.per_caption
                        emit(Advanced(run, "images", spec.per_caption, f"engine {queue.busy_share:.0%} busy"))
            truncated_tokens = queue.truncated_tokens(priority, [about.text for about in part])
            for each, tokens in zip(candidates, truncated_tokens, strict=True):
                yield each.outcome(queue.rendering, tokens, queue.scorer, queue.checker)
    except BaseException:
        emit(Advanced(run, "images", -reported))  # a shard that failed starts again from nothing
        raise


def render_shard(
    work: Work[ImagesSpec, ImageInputs],
    index: int,
    queue: RenderQueue,
    *,
    priority: int | None = None,
    emit: Emit = ignore,
) -> ShardManifest:
    """Renders nothing for a shard that is sealed already. Captions that the selection refuses are rejected first.

    Raises SpecError, and seals nothing, below `min_kept`.
    """
    spec, address = work.settings, work.stage.shard(index)

    def outcomes() -> Iterator[ImageGroup | Rejection]:
        source = work.inputs.captions.shard(index)
        captions = list(read_shard(source, caption_record.CONTRACT, check_digest=True))
        left_out = _left_out(captions, work.inputs.selection.shard(index)) if work.inputs.selection else {}
        yield from left_out.values()
        selected = [each for each in captions if each.id not in left_out]
        yield from render(selected, queue, spec, work.seed, priority, run=work.made_by.run, emit=emit)

    def check(kept: int, refused: Counter[str]) -> None:
        faults = Counter({reason: count for reason, count in refused.items() if reason in FAULTS})
        if kept + faults.total() >= FEW and kept < spec.min_kept * (kept + faults.total()):
            reasons = ", ".join(f"{reason} {count}" for reason, count in faults.most_common())
            raise SpecError(
                f"{address.stem}: {kept} of {kept + faults.total()} captions have all their images after "
                f"{spec.attempts} attempts, less than images.min_kept={spec.min_kept:g} wants; refused: {reasons}; raise "
                "attempts, lower min_kept or images.scorer.min_score, or change the model"
            )

    return make_shard(address, image_group.CONTRACT, outcomes, made_by=work.made_by, emit=emit, check=check)


def _left_out(captions: Sequence[Caption], selection: ShardAddress) -> dict[CaptionId, Rejection]:
    """The captions that the selection refuses, as rejections. Raises ContractError if it was made for other captions."""
    verdicts = read_rows(selection, ["id", "verdict", "repeats", "repeats_in"], check_digest=True).to_pylist()
    if [verdict["id"] for verdict in verdicts] != [each.id for each in captions]:
        raise ContractError(
            f"{selection.stem} of lineage {selection.lineage} was made for other captions than those it is to choose from"
        )
    found = {}
    for each, row in zip(captions, verdicts, strict=True):
        if row["verdict"] != "kept":
            of = f" (repeats {row['repeats']} of captions-{row['repeats_in']:06d})" if row["repeats"] else ""
            found[each.id] = Rejection(each.id, row["verdict"], each.text + of)
    return found


def render_here(work: Work[ImagesSpec, ImageInputs], *, emit: Emit = ignore) -> int:
    """In an engine's process: the pipeline is loaded once and kept; returns how many images were made.

    Two shards are in hand: while one is encoded and sealed, the other is rendered.
    """
    queue = loaded(open_queue, work.settings)
    require_planned(work.stage, "model", queue.rendering.model)
    require_planned(work.stage, "scorer", queue.scorer)
    require_planned(work.stage, "checker", queue.checker)
    made, in_hand = 0, deque[Future[ShardManifest]]()
    with ThreadPoolExecutor(IN_HAND, "shard") as threads:
        try:
            for address in missing_first(work.shards, work.made_by, emit):
                if len(in_hand) == IN_HAND:
                    made += in_hand.popleft().result().accepted
                priority = queue.next_priority()
                in_hand.append(threads.submit(render_shard, work, address.index, queue, priority=priority, emit=emit))
            made += sum(shard.result().accepted for shard in in_hand)
        except SpecError:  # it applies to the other shard too, which may have hours to go
            queue.abandon()
            raise
    emit(Worked(work.made_by.run, work.stage.name, os.getpid(), queue.busy_seconds, queue.seconds))
    return made * work.settings.per_caption


def render_bundle(work: Work[ImagesSpec, ImageInputs], engine: EngineProcess, emit: Emit) -> int:
    """Makes the shards in one engine process; returns how many images were made."""
    return engine.call(render_here, work, emit=emit)
