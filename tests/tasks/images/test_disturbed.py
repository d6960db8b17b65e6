"""However a run through the images stage is disturbed or shared out, its shards are those of the undisturbed one."""

import io
import os
import signal
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from data_specs import caption as caption_record
from data_specs import image_group
from data_specs.errors import EngineError
from data_specs.ids import image_seed
from data_specs.specs.images import ImagesSpec
from data_specs.stage import Stage
from models.renderer.fake import FakeRenderer
from models.renderer.protocol import RenderRequest
from support.builders import make_caption
from tasks.bundles import Work
from tasks.engines import EngineProcess
from tasks.events import Advanced, ignore
from tasks.images.render import ImageInputs, render_bundle, render_here
from tasks.shards import make_shard, read_shard, require_sealed, sealed

FAKE = ImagesSpec(engine="fake", format="png")
REAL = ImagesSpec(steps=2, batch_size=8, format="png")
SHARDS, CAPTIONS = 3, 6
NAMES = ["dog", "cat", "owl", "fox", "pear", "boat"]


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    folder = str(tmp_path_factory.mktemp("captions"))
    captions_stage = Stage(name="captions", lineage="a", folder=folder, count=SHARDS, facts={})
    for address in captions_stage.shards():
        captions = [
            make_caption(name, CAPTIONS * address.index + slot, f"A {name} by the sea, {address.index}.")
            for slot, name in enumerate(NAMES)
        ]
        make_shard(address, caption_record.CONTRACT, lambda captions=captions: captions)
    return captions_stage


def work_in(folder: Path, sources: Stage, spec: ImagesSpec = REAL) -> Work:
    images = Stage(name="images", lineage="b", folder=str(folder), count=SHARDS, facts={})
    return Work(images, tuple(range(SHARDS)), spec, ImageInputs(sources, None), 0)


def manifests(work: Work):
    return [require_sealed(address) for address in work.shards]


@pytest.fixture(scope="module")
def undisturbed(sources, engine, tmp_path_factory):
    work = work_in(tmp_path_factory.mktemp("undisturbed"), sources)
    render_bundle(work, engine, ignore)
    return work


@pytest.fixture(scope="module")
def other():
    with EngineProcess(1) as engine:
        yield engine


def _killed_midway(work, *, emit):
    """In the engine's process: SIGKILL once the second shard is begun, and no image of it is safe."""
    advanced = 0

    def kill(event):
        nonlocal advanced
        advanced += isinstance(event, Advanced)
        if advanced == CAPTIONS + 2:
            os.kill(os.getpid(), signal.SIGKILL)

    render_here(work, emit=kill)


@pytest.mark.slow(15)
def test_an_engine_killed_in_the_middle_of_a_shard_leaves_nothing_and_the_next_makes_the_same_bytes(
    sources, engine, undisturbed, tmp_path
):
    work = work_in(tmp_path, sources)
    with pytest.raises(EngineError, match="died"):
        engine.call(_killed_midway, work)
    assert list(tmp_path.rglob("*.part-*")) and sealed(work.stage.shard(2)) is None
    render_bundle(work, engine, ignore)
    assert manifests(work) == manifests(undisturbed)
    assert not list(tmp_path.rglob("*.part-*"))


@pytest.mark.slow(15)
def test_two_workers_make_the_bytes_that_one_makes(sources, engine, other, undisturbed, tmp_path):
    work = work_in(tmp_path, sources)
    shared_out(work, engine, other)
    assert manifests(work) == manifests(undisturbed)


def _with_little_memory(work, *, emit):
    """In the engine's process: from its second batch on, memory holds three images. Returns the sizes that did not fit."""
    from models.renderer import diffusion

    whole, calls = diffusion.DiffusionRenderer._batch, 0
    refused = []

    def cramped(self, requests, size):
        nonlocal calls
        calls += 1
        if calls > 1 and size > 3:
            refused.append(size)
            raise torch.OutOfMemoryError("CUDA out of memory (injected)")
        return whole(self, requests, size)

    diffusion.DiffusionRenderer._batch = cramped
    render_here(work, emit=emit)
    return refused


@pytest.mark.slow(15)
def test_memory_that_runs_out_in_the_middle_of_a_shard_loses_and_doubles_no_image(sources, undisturbed, tmp_path):
    work = work_in(tmp_path, sources)
    with EngineProcess(1) as own:  # the shared one would have little memory in the tests after this one too
        # Halved twice, and remembered from then on.
        assert own.call(_with_little_memory, work) == [8, 4]
    for one, other in zip(undisturbed.shards, work.shards, strict=True):
        whole = list(read_shard(one, image_group.CONTRACT))
        halved = list(read_shard(other, image_group.CONTRACT))
        assert [group.caption for group in whole] == [group.caption for group in halved]
        for before, after in zip(whole, halved, strict=True):
            assert [image.seed for image in before.images] == [image.seed for image in after.images]
            for first, second in zip(before.pixels, after.pixels, strict=True):
                # Sums of another batch size round differently, by 1e-6: now and then a value steps by one.
                assert np.abs(pixels(first).astype(int) - pixels(second)).max() <= 1


@pytest.mark.slow(15)
def test_images_and_captions_match_one_to_one_whoever_drew_them(sources, engine, other, tmp_path):
    """The fake's images tell their text and seed: no other caption, and no other seed, makes these pixels."""
    work = work_in(tmp_path, sources, FAKE)
    shared_out(work, engine, other)
    seen = set()
    for index in work.indices:
        captions = list(read_shard(sources.shard(index), caption_record.CONTRACT))
        groups = list(read_shard(work.stage.shard(index), image_group.CONTRACT, check_digest=True))
        assert [group.caption for group in groups] == captions
        for group in groups:
            assert [image.seed for image in group.images] == [image_seed(0, group.caption.id, n) for n in range(4)]
            wanted = FakeRenderer().render([RenderRequest(group.caption.text, image.seed) for image in group.images])
            for data, expected in zip(group.pixels, wanted, strict=True):
                assert np.array_equal(pixels(data), (expected * 255).round().astype(np.uint8))
                seen.add(data)
    assert len(seen) == SHARDS * CAPTIONS * 4


def shared_out(work: Work, one: EngineProcess, other: EngineProcess) -> None:
    """Two engines at once: one takes the first shard, the other the rest."""
    with ThreadPoolExecutor(2) as pool:
        calls = [
            pool.submit(render_bundle, replace(work, indices=indices), engine, ignore)
            for engine, indices in ((one, work.indices[:1]), (other, work.indices[1:]))
        ]
        for call in calls:
            call.result()


def pixels(data: bytes):
    return np.asarray(Image.open(io.BytesIO(data)))
