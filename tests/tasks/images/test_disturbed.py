"""However a walk through the images room is disturbed or shared out, its shards are those of the undisturbed one."""

import io
import os
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from data_specs import caption as caption_record
from data_specs import image_group
from data_specs.errors import EngineError
from data_specs.ids import image_seed
from data_specs.run import ImagesSpec
from data_specs.shard import ShardAddress
from models.renderer.fake import FakeRenderer
from models.renderer.protocol import Drawing
from support.builders import make_caption
from tasks.engines import EngineProcess
from tasks.events import Advanced, listening
from tasks.images.render import Work, render_here
from tasks.shards import make_shard, read_shard, require_sealed, sealed

FAKE = ImagesSpec(engine="fake", format="png")
REAL = ImagesSpec(steps=2, batch_size=8, format="png")
SHARDS, CAPTIONS = 3, 6
NAMES = ["dog", "cat", "owl", "fox", "pear", "boat"]


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    folder = tmp_path_factory.mktemp("captions")
    made = [ShardAddress(folder=str(folder), room="captions", lineage="a", index=index) for index in range(SHARDS)]
    for address in made:
        captions = [
            make_caption(name, CAPTIONS * address.index + slot, f"A {name} by the sea, {address.index}.")
            for slot, name in enumerate(NAMES)
        ]
        make_shard(address, caption_record.CONTRACT, lambda captions=captions: captions)
    return made


def works(sources, folder: Path) -> list[Work]:
    return [
        Work(source, None, ShardAddress(folder=str(folder), room="images", lineage="b", index=source.index))
        for source in sources
    ]


def manifests(made: list[Work]):
    return [require_sealed(work.address) for work in made]


@pytest.fixture(scope="module")
def engine():
    """One for all tests, since loading one costs more than what it draws here."""
    with EngineProcess(1) as engine:
        yield engine


@pytest.fixture(scope="module")
def undisturbed(sources, engine, tmp_path_factory):
    made = works(sources, tmp_path_factory.mktemp("undisturbed"))
    engine.call(render_here, made, REAL, seed=0, run="")
    return made


def _killed_midway(made, spec, **names):
    """In the engine's process: SIGKILL once the second shard is begun, and no picture of it is safe."""
    told = 0

    def kill(event):
        nonlocal told
        told += isinstance(event, Advanced)
        if told == CAPTIONS + 2:
            os.kill(os.getpid(), signal.SIGKILL)

    with listening(kill):
        render_here(made, spec, **names)


@pytest.mark.slow
def test_an_engine_killed_in_the_middle_of_a_shard_leaves_nothing_and_the_next_makes_the_same_bytes(
    sources, engine, undisturbed, tmp_path
):
    made = works(sources, tmp_path)
    with pytest.raises(EngineError, match="died"):
        engine.call(_killed_midway, made, REAL, seed=0, run="")
    assert list(tmp_path.rglob("*.part-*")) and sealed(made[2].address) is None
    engine.call(render_here, made, REAL, seed=0, run="")
    assert manifests(made) == manifests(undisturbed)
    assert not list(tmp_path.rglob("*.part-*"))


@pytest.mark.slow
def test_two_workers_make_the_bytes_that_one_makes(sources, engine, undisturbed, tmp_path):
    made = works(sources, tmp_path)
    with EngineProcess(1) as other:
        shared_out(made, REAL, engine, other)
    assert manifests(made) == manifests(undisturbed)


def _with_little_memory(made, spec, **names):
    """In the engine's process: from its second batch on, memory holds three pictures. Returns the sizes that did not fit."""
    from models.renderer import diffusion

    whole, calls = diffusion.DiffusionRenderer._batch, 0
    refused = []

    def cramped(self, drawings, size):
        nonlocal calls
        calls += 1
        if calls > 1 and size > 3:
            refused.append(size)
            raise torch.OutOfMemoryError("CUDA out of memory (injected)")
        return whole(self, drawings, size)

    diffusion.DiffusionRenderer._batch = cramped
    render_here(made, spec, **names)
    return refused


@pytest.mark.slow
def test_memory_that_runs_out_in_the_middle_of_a_shard_loses_and_doubles_no_picture(
    sources, engine, undisturbed, tmp_path
):
    made = works(sources, tmp_path)
    # Halved twice, and remembered from then on.
    assert engine.call(_with_little_memory, made, REAL, seed=0, run="") == [8, 4]
    for one, other in zip(undisturbed, made, strict=True):
        whole = list(read_shard(one.address, image_group.CONTRACT))
        halved = list(read_shard(other.address, image_group.CONTRACT))
        assert [group.caption for group in whole] == [group.caption for group in halved]
        for before, after in zip(whole, halved, strict=True):
            assert [image.seed for image in before.images] == [image.seed for image in after.images]
            for first, second in zip(before.pixels, after.pixels, strict=True):
                # Sums of another batch size round differently, by 1e-6: now and then a value steps by one.
                assert np.abs(pixels(first).astype(int) - pixels(second)).max() <= 1


@pytest.mark.slow
def test_pictures_and_captions_match_one_to_one_whoever_drew_them(sources, tmp_path):
    """The fake's pictures tell their text and seed: no other caption, and no other seed, makes these pixels."""
    made = works(sources, tmp_path)
    with EngineProcess(1) as one, EngineProcess(1) as other:
        shared_out(made, FAKE, one, other)
    seen = set()
    for work in made:
        captions = list(read_shard(work.source, caption_record.CONTRACT))
        groups = list(read_shard(work.address, image_group.CONTRACT, check_digest=True))
        assert [group.caption for group in groups] == captions
        for group in groups:
            assert [image.seed for image in group.images] == [image_seed(0, group.caption.id, n) for n in range(4)]
            wanted = FakeRenderer().render([Drawing(group.caption.text, image.seed) for image in group.images])
            for data, expected in zip(group.pixels, wanted, strict=True):
                assert np.array_equal(pixels(data), (expected * 255).round().astype(np.uint8))
                seen.add(data)
    assert len(seen) == SHARDS * CAPTIONS * 4


def shared_out(made: list[Work], spec: ImagesSpec, one: EngineProcess, other: EngineProcess) -> None:
    """Two engines at once: one takes the first shard, the other the rest."""
    with ThreadPoolExecutor(2) as pool:
        calls = [
            pool.submit(engine.call, render_here, part, spec, seed=0, run="")
            for engine, part in ((one, made[:1]), (other, made[1:]))
        ]
        for call in calls:
            call.result()


def pixels(data: bytes):
    return np.asarray(Image.open(io.BytesIO(data)))
