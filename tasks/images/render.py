"""Render one shard of image groups from one shard of captions: complete groups, or the caption with a reason."""

import hashlib
from collections.abc import Iterator, Sequence

from prefect import task
from prefect.cache_policies import NO_CACHE

from data_specs import caption as caption_record
from data_specs import image_group
from data_specs.caption import Caption
from data_specs.errors import ContractError
from data_specs.ids import CaptionId, image_seed
from data_specs.image_group import Image, ImageGroup
from data_specs.rejection import Rejection
from data_specs.run import ImagesSpec
from data_specs.shard import ShardAddress, ShardManifest
from models.renderer.build import build_renderer
from models.renderer.protocol import Drawing, Renderer
from tasks.engines import EngineProcess, loaded
from tasks.images.pictures import fault, store
from tasks.progress import Advanced, tell
from tasks.retrying import RETRIES, RETRY_DELAYS_SECONDS, engine_failed
from tasks.shards import make_shard, missing_first, read_rows, read_shard

Wanted = tuple[int, int]
"""Which caption of the shard, which copy."""


def render(
    captions: Sequence[Caption], renderer: Renderer, spec: ImagesSpec, seed: int
) -> Iterator[ImageGroup | Rejection]:
    """Draw every caption `per_caption` times; a faulty picture again with the next attempt; groups in caption order.

    All pictures of an attempt go to the engine together, in the order (caption, copy), so what stands in one batch
    follows from the shard alone.
    """
    kept: dict[Wanted, tuple[Image, bytes]] = {}
    faults: dict[Wanted, str] = {}
    wanted = [(row, copy) for row in range(len(captions)) for copy in range(spec.per_caption)]
    for attempt in range(spec.attempts):
        seeds = {place: image_seed(seed, captions[place[0]].id, place[1], attempt) for place in wanted}
        drawn = renderer.render([Drawing(captions[row].text, seeds[row, copy]) for row, copy in wanted])
        again = []
        for place, pixels in zip(wanted, drawn, strict=True):
            row, copy = place
            reason = fault(pixels)
            if reason is None:
                data, width, height = store(pixels, spec.save_size, spec.format, spec.quality)
                digest = hashlib.sha256(data).hexdigest()
                siblings = {kept[row, other][0].sha256 for other in range(spec.per_caption) if (row, other) in kept}
                if digest not in siblings:
                    kept[place] = (
                        Image(copy, seeds[place], attempt, width, height, spec.format, digest),
                        data,
                    )
                    continue
                reason = "identical_sibling"
            faults[place] = reason
            again.append(place)
        wanted = again
        if not wanted:
            break
    unseen = renderer.unseen([about.text for about in captions])
    for row, about in enumerate(captions):
        places = [(row, copy) for copy in range(spec.per_caption)]
        if lost := [place for place in places if place not in kept]:
            yield Rejection(about.id, faults[lost[0]], about.text)
        else:
            images, pixels_of = zip(*(kept[place] for place in places), strict=True)
            yield ImageGroup(about, renderer.rendering, images, pixels_of, unseen[row])


def render_shard(
    source: ShardAddress,
    selection: ShardAddress | None,
    address: ShardAddress,
    renderer: Renderer,
    spec: ImagesSpec,
    *,
    seed: int,
    run: str = "",
) -> ShardManifest:
    """Nothing is drawn for a shard that is sealed already. Captions that the selection leaves out are refused first."""

    def outcomes() -> Iterator[ImageGroup | Rejection]:
        captions = list(read_shard(source, caption_record.CONTRACT, check_digest=True))
        left_out = _left_out(captions, selection) if selection else {}
        yield from left_out.values()
        yield from render([each for each in captions if each.id not in left_out], renderer, spec, seed)

    return make_shard(address, image_group.CONTRACT, outcomes, run=run)


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


def render_here(
    source: ShardAddress,
    selection: ShardAddress | None,
    address: ShardAddress,
    spec: ImagesSpec,
    *,
    seed: int,
    run: str,
) -> ShardManifest:
    """In an engine's process: the pipeline is loaded for the first shard and kept for the others."""
    return render_shard(source, selection, address, loaded(build_renderer, spec), spec, seed=seed, run=run)


@task(
    name="render a bundle of image shards",
    retries=RETRIES,
    retry_delay_seconds=RETRY_DELAYS_SECONDS,
    retry_condition_fn=engine_failed,
    cache_policy=NO_CACHE,
)
def render_bundle(
    sources: Sequence[ShardAddress],
    selections: Sequence[ShardAddress | None],
    addresses: Sequence[ShardAddress],
    spec: ImagesSpec,
    engine: EngineProcess,
    *,
    seed: int,
    run: str,
) -> int:
    """Shards of a bundle one after the other in one engine process; returns how many pictures were made."""
    reads = dict(zip(addresses, zip(sources, selections, strict=True), strict=True))
    total = 0
    for address in missing_first(addresses):
        manifest = engine.call(render_here, *reads[address], address, spec, seed=seed, run=run)
        tell(Advanced("images", manifest.accepted * spec.per_caption))
        total += manifest.accepted * spec.per_caption
    return total
