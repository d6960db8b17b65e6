"""Training from shards: the same run twice gives the same bytes, and a killed one ends as if it had not been."""

import io
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image as PillowImage

from builders import make_caption, make_group
from data_specs import checkpoint, image_group
from data_specs.errors import ContractError, SpecError
from data_specs.image_group import ImageGroup
from data_specs.run import EncoderSpec
from data_specs.shard import ShardAddress
from tasks.encoder import checkpoints
from tasks.encoder.batches import choose
from tasks.encoder.checkpoints import verify_checkpoints
from tasks.encoder.metrics import read_metrics
from tasks.encoder.pictures import PictureStore, read_pictures
from tasks.encoder.train import train_encoder
from tasks.shards import make_shard, read_shard

SPEC = EncoderSpec(
    image_size=32,
    local_size=16,
    patch_size=16,
    stem="conv",
    local_crops=1,
    captions_per_step=3,
    images_per_caption=2,
    steps=6,
    warmup_steps=2,
    head_hidden=16,
    head_out=8,
    prototypes=8,
    patch_head_hidden=16,
    patch_head_bottleneck=8,
    drop_path=0.1,
    checkpoint_every=2,
)


def picture(number: int) -> bytes:
    pixels = np.random.default_rng(number).integers(0, 255, (32, 32, 3), dtype=np.uint8)
    stream = io.BytesIO()
    PillowImage.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


def group(slot: int) -> ImageGroup:
    drawn = make_group(make_caption(slot=slot))
    return ImageGroup(drawn.caption, drawn.rendering, drawn.images, tuple(picture(10 * slot + k) for k in range(4)))


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Sums round differently with another number of threads: bytes are compared at equal numbers, as runs have them."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def images(address: Callable[..., ShardAddress]) -> list[ShardAddress]:
    places = [address(index, room="images", lineage="pictures") for index in range(2)]
    for place in places:
        make_shard(place, image_group.CONTRACT, lambda at=place: (group(5 * at.index + s) for s in range(5)))
    return places


def weights(room: ShardAddress) -> bytes:
    return Path(room.folder, "encoder/model.safetensors").read_bytes()


def losses(room: ShardAddress) -> list[dict[str, float]]:
    return [row["terms"] for row in read_metrics(room.folder)]


def test_an_encoder_is_trained_sealed_and_not_trained_again(
    images: list[ShardAddress], address: Callable[..., ShardAddress]
) -> None:
    room = address(room="encoder", lineage="one")
    manifest = train_encoder(images, room, SPEC, seed=0)
    [sealed] = read_shard(room, checkpoint.CONTRACT)
    assert (sealed.step, sealed.images_seen, sealed.images_lineage) == (6, 36, "pictures")
    assert sealed.shards == ("images-000000", "images-000001")
    assert set(sealed.terms) == {"contrast_global", "contrast_local", "ibot"}
    assert not list(verify_checkpoints(room))
    before = weights(room)
    assert train_encoder(images, room, SPEC, seed=0) == manifest
    again = address(room="encoder", lineage="two")
    train_encoder(images, again, SPEC, seed=0)
    assert weights(again) == before
    assert losses(again) == losses(room)
    Path(room.folder, "encoder/config.json").write_text("{}")
    assert "not as sealed" in next(verify_checkpoints(room))


def test_only_the_last_checkpoints_are_kept_and_a_damaged_one_is_passed_over(
    images: list[ShardAddress], address: Callable[..., ShardAddress]
) -> None:
    room = address(room="encoder", lineage="one")
    train_encoder(images, room, SPEC, seed=0)
    kept = sorted(path.name for path in Path(checkpoints.folder(room.folder)).iterdir())
    assert kept == [f"step-0000000{step}.{suffix}" for step in (4, 6) for suffix in ("json", "safetensors")]
    Path(checkpoints.folder(room.folder), "step-00000006.safetensors").write_bytes(b"half")
    found = checkpoints.newest(room.folder)
    assert found is not None
    assert found[0] == 4


def test_a_run_that_is_killed_ends_with_the_very_bytes_of_one_that_is_not(
    images: list[ShardAddress], address: Callable[..., ShardAddress], tmp_path: Path
) -> None:
    spec = SPEC.model_copy(update={"steps": 12})
    whole, killed = address(room="encoder", lineage="whole"), address(room="encoder", lineage="killed")
    train_encoder(images, whole, spec, seed=3)
    script = tmp_path / "train.py"
    script.write_text(
        "import torch\ntorch.set_num_threads(1)\n"
        "from data_specs.run import EncoderSpec\nfrom data_specs.shard import ShardAddress\n"
        "from tasks.encoder.train import train_encoder\n"
        f"sources = [ShardAddress.model_validate(place) for place in {[place.model_dump() for place in images]!r}]\n"
        f"address = ShardAddress.model_validate({killed.model_dump()!r})\n"
        f"train_encoder(sources, address, EncoderSpec.model_validate({spec.model_dump()!r}), seed=3)\n"
    )
    child = subprocess.Popen([sys.executable, str(script)], env={"PYTHONPATH": ".", "PATH": "/usr/bin:/bin"})
    deadline = time.monotonic() + 120
    while len(read_metrics(killed.folder)) < 5 and child.poll() is None and time.monotonic() < deadline:
        time.sleep(0.005)
    child.send_signal(signal.SIGKILL)
    child.wait()
    train_encoder(images, killed, spec, seed=3)
    assert losses(killed) == losses(whole)
    assert weights(killed) == weights(whole)


def test_a_loss_that_is_not_finite_stops_with_the_step_and_the_terms(
    images: list[ShardAddress], address: Callable[..., ShardAddress]
) -> None:
    spec = SPEC.model_copy(update={"lr": 1e30, "warmup_steps": 0, "clip_gradient": None})
    with pytest.raises(SpecError, match=r"diverged at step \d+: .*contrast_global"):
        train_encoder(images, address(room="encoder", lineage="bad"), spec, seed=0)


def test_every_epoch_sees_every_caption_once_in_another_order() -> None:
    epochs = [
        np.concatenate([choose(12, 4, SPEC, 0, step).captions for step in range(4 * epoch, 4 * epoch + 4)])
        for epoch in range(2)
    ]
    assert [sorted(epoch.tolist()) for epoch in epochs] == [list(range(12))] * 2
    assert epochs[0].tolist() != epochs[1].tolist()
    assert all(len(set(row)) == 2 for row in choose(12, 4, SPEC, 0, 0).copies.tolist())


def test_too_few_captions_or_pictures_are_refused_in_words() -> None:
    with pytest.raises(SpecError, match="captions.total"):
        choose(1, 4, SPEC, 0, 0)
    with pytest.raises(SpecError, match="images.per_caption"):
        choose(12, 1, SPEC, 0, 0)


def test_pictures_carry_identities_that_follow_from_ids(images: list[ShardAddress]) -> None:
    store = read_pictures(images)
    batch = store.pictures(choose(len(store), store.copies, SPEC, 0, 0))
    assert batch.pixels_I3SS.dtype == torch.uint8
    assert batch.pixels_I3SS.shape == (6, 3, 32, 32)
    assert len(set(batch.images_I.tolist())) == 6
    assert len(set(batch.captions_I.tolist())) == 3


def test_captions_of_one_text_are_one_class_and_bytes_that_are_no_picture_are_named() -> None:
    twins = [make_group(make_caption(slot=slot, text="A dog  on the beach")) for slot in (0, 1)]
    with pytest.raises(ContractError, match="no pictures"):
        PictureStore([])
    twins = [ImageGroup(t.caption, t.rendering, t.images, tuple(picture(k) for k in range(4))) for t in twins]
    batch = PictureStore(twins).pictures(choose(2, 4, SPEC, 0, 0))
    assert len(set(batch.captions_I.tolist())) == 1
    broken = ImageGroup(twins[0].caption, twins[0].rendering, twins[0].images, (picture(0), b"x", b"x", b"x"))
    with pytest.raises(ContractError, match="cannot be decoded"):
        PictureStore([broken, twins[1]]).pictures(choose(2, 4, SPEC.model_copy(update={"images_per_caption": 4}), 0, 0))
