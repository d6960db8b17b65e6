"""Render one shard of image groups from one shard of captions: complete groups, or the caption with a reason."""

import os
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from prefect import task
from prefect.cache_policies import NO_CACHE

from data_specs import caption as caption_record
from data_specs import image_group
from data_specs.caption import Caption
from data_specs.errors import ContractError, SpecError
from data_specs.ids import CaptionId, image_seed
from data_specs.image_group import ImageGroup
from data_specs.rejection import Rejection
from data_specs.run import ImagesSpec
from data_specs.shard import ShardAddress, ShardManifest
from models.renderer.protocol import Drawing
from tasks.bundles import RETRIES, RETRY_DELAYS_SECONDS, engine_failed
from tasks.engines import EngineProcess, loaded
from tasks.events import Advanced, Worked, tell
from tasks.images.candidates import FAULTS, Candidates
from tasks.images.render_queue import RenderQueue, open_queue
from tasks.shards import make_shard, missing_first, read_rows, read_shard

IN_HAND = 2
"""Shards of one engine at a time: one is drawn, the one before is encoded and sealed."""
AT_A_TIME = 1024
"""Captions whose pictures are in memory; a power of two, so that batches are full."""
FEW = 8
"""Captions of which the share that was kept says nothing yet: a selection may leave a shard one or two."""


def render(
    captions: Sequence[Caption], queue: RenderQueue, spec: ImagesSpec, seed: int, turn: int | None = None
) -> Iterator[ImageGroup | Rejection]:
    """Draw every caption's candidates; faulty ones again with the next attempt; groups in caption order.

    All pictures of an attempt go to the engine together, in the order (caption, candidate), so what stands in one batch
    follows from the shard alone. Of a large shard, `AT_A_TIME` captions are in memory.
    """
    turn, told = queue.turn() if turn is None else turn, 0
    try:
        for start in range(0, len(captions), AT_A_TIME):
            part = captions[start : start + AT_A_TIME]
            drawn = [Candidates(about, spec) for about in part]
            for attempt in range(spec.attempts):
                wanted = [(row, candidate) for row, so_far in enumerate(drawn) for candidate in so_far.wanted()]
                seeds = [image_seed(seed, part[row].id, candidate, attempt) for row, candidate in wanted]
                drawings = [Drawing(part[row].text, noise) for (row, _), noise in zip(wanted, seeds, strict=True)]
                for (row, candidate), noise, made in zip(wanted, seeds, queue.draw(turn, drawings), strict=True):
                    drawn[row].add(candidate, noise, attempt, made)
                    if attempt == 0 and candidate == spec.drawn_per_caption - 1:
                        told += spec.per_caption
                        tell(Advanced("images", spec.per_caption, f"engine {queue.busy_share:.0%} busy"))
            unseen = queue.unseen(turn, [about.text for about in part])
            for so_far, tokens in zip(drawn, unseen, strict=True):
                yield so_far.outcome(queue.rendering, tokens, queue.scorer, queue.checker)
    except BaseException:
        tell(Advanced("images", -told))  # a shard that failed is begun anew
        raise


@dataclass(frozen=True, slots=True)
class Work:
    """One shard to draw: the captions, which of them the selection left, and where the pictures go."""

    source: ShardAddress
    selection: ShardAddress | None
    address: ShardAddress


def render_shard(
    work: Work, queue: RenderQueue, spec: ImagesSpec, *, seed: int, run: str = "", turn: int | None = None
) -> ShardManifest:
    """Nothing is drawn for a shard that is sealed already. Captions that the selection leaves out are refused first.

    Raises SpecError, and seals nothing, below `min_kept`.
    """

    def outcomes() -> Iterator[ImageGroup | Rejection]:
        captions = list(read_shard(work.source, caption_record.CONTRACT, check_digest=True))
        left_out = _left_out(captions, work.selection) if work.selection else {}
        yield from left_out.values()
        yield from render([each for each in captions if each.id not in left_out], queue, spec, seed, turn)

    def check(kept: int, refused: Counter[str]) -> None:
        faults = Counter({reason: count for reason, count in refused.items() if reason in FAULTS})
        if kept + faults.total() >= FEW and kept < spec.min_kept * (kept + faults.total()):
            reasons = ", ".join(f"{reason} {count}" for reason, count in faults.most_common())
            raise SpecError(
                f"{work.address.stem}: {kept} of {kept + faults.total()} captions have all their pictures after "
                f"{spec.attempts} attempts, less than images.min_kept={spec.min_kept:g} wants; refused: {reasons}; raise "
                "attempts, lower min_kept or images.scorer.min_score, or change the model"
            )

    return make_shard(work.address, image_group.CONTRACT, outcomes, run=run, check=check)


def _left_out(captions: Sequence[Caption], selection: ShardAddress) -> dict[CaptionId, Rejection]:
    choices = read_rows(selection, ["id", "verdict", "repeats", "repeats_in"], check_digest=True).to_pylist()
    if [choice["id"] for choice in choices] != [each.id for each in captions]:
        raise ContractError(
            f"{selection.stem} of lineage {selection.lineage} was made for other captions than those it is to choose from"
        )
    found = {}
    for each, choice in zip(captions, choices, strict=True):
        if choice["verdict"] != "kept":
            of = f" (repeats {choice['repeats']} of captions-{choice['repeats_in']:06d})" if choice["repeats"] else ""
            found[each.id] = Rejection(each.id, choice["verdict"], each.text + of)
    return found


def render_here(works: Sequence[Work], spec: ImagesSpec, *, seed: int, run: str) -> int:
    """In an engine's process: the pipeline is loaded once and kept; returns how many pictures were made.

    Two shards are in hand: while one is encoded and sealed, the other is drawn.
    """
    queue = loaded(open_queue, spec)
    given = {work.address: work for work in works}
    made, in_hand = 0, deque[Future[ShardManifest]]()
    with ThreadPoolExecutor(IN_HAND, "shard") as hands:
        try:
            for address in missing_first([work.address for work in works]):
                if len(in_hand) == IN_HAND:
                    made += in_hand.popleft().result().accepted
                work, turn = given[address], queue.turn()
                in_hand.append(hands.submit(render_shard, work, queue, spec, seed=seed, run=run, turn=turn))
            made += sum(shard.result().accepted for shard in in_hand)
        except SpecError:  # it is wrong for the other shard too, which may have hours to go
            queue.abandon()
            raise
    tell(Worked("images", os.getpid(), queue.busy_seconds, queue.seconds))
    return made * spec.per_caption


@task(
    name="render a bundle of image shards",
    retries=RETRIES,
    retry_delay_seconds=RETRY_DELAYS_SECONDS,
    retry_condition_fn=engine_failed,
    cache_policy=NO_CACHE,
)
def render_bundle(works: Sequence[Work], spec: ImagesSpec, engine: EngineProcess, *, seed: int, run: str) -> int:
    """The shards of a bundle in one engine process; returns how many pictures were made."""
    return engine.call(render_here, works, spec, seed=seed, run=run)
