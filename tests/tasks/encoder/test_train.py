"""Training from shards: the same run twice gives the same bytes, and a killed one ends as if it had not been."""

import io
import json
import os
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

from data_specs import checkpoint, image_group
from data_specs.errors import ContractError, EngineError, SpecError
from data_specs.image_group import ImageGroup
from data_specs.run import OBJECTIVES, EncoderSpec
from data_specs.shard import ShardAddress
from models.encoder.exported import load_exported
from models.encoder.training import Training
from support.builders import make_caption, make_group
from tasks.encoder import checkpoints, train
from tasks.encoder.batches import Order
from tasks.encoder.checkpoints import verify_checkpoints
from tasks.encoder.image_store import PictureStore
from tasks.encoder.metrics import read_metrics
from tasks.encoder.ranks import Job, _told
from tasks.encoder.train import learn, train_encoder
from tasks.events import Event, Said, listening
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


def test_a_checkpoint_that_was_just_written_stays_and_a_damaged_later_one_goes(tmp_path: Path) -> None:
    room, tensors = str(tmp_path), {"weight": torch.ones(2)}
    for step in (100, 200):
        checkpoints.save(room, step, tensors, keep=2)
    Path(checkpoints.folder(room), "step-00000200.safetensors").write_bytes(b"half")
    checkpoints.save(room, 130, tensors, keep=1)
    assert checkpoints.newest(room) is not None and checkpoints.steps_done(room) == 130
    assert sorted(path.name for path in Path(checkpoints.folder(room)).iterdir()) == [
        "step-00000130.json",
        "step-00000130.safetensors",
    ]


def test_what_is_trained_to_its_end_is_sealed_without_training(
    images: list[ShardAddress], address: Callable[..., ShardAddress], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where torchrun has trained on other hosts, from the job that the walk wrote."""
    room = address(room="encoder", lineage="one")
    learn(images, room, SPEC, seed=0)
    monkeypatch.setattr(train, "learn", lambda *_: pytest.fail("trained again"))
    train_encoder(images, room, SPEC, seed=0)
    assert Job.model_validate_json(Path(room.folder, "job.json").read_bytes()).spec == SPEC


@pytest.mark.parametrize(
    ("raised", "expected", "said"),
    [
        (torch.OutOfMemoryError("CUDA out of memory"), SpecError, "lower encoder.captions_per_step"),
        (
            RuntimeError("DataLoader worker (pid 1) is killed"),
            EngineError,
            "training failed in step 0: DataLoader worker",
        ),
    ],
)
def test_a_step_that_breaks_down_is_retried_unless_it_is_too_large(
    raised: Exception,
    expected: type[Exception],
    said: str,
    images: list[ShardAddress],
    address: Callable[..., ShardAddress],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def break_down(*_: object) -> None:
        raise raised

    monkeypatch.setattr(Training, "advance", break_down)
    with pytest.raises(expected, match=said):
        learn(images, address(room="encoder", lineage="broken"), SPEC, seed=0)


def test_of_ranks_that_fail_together_the_cause_is_told(tmp_path: Path) -> None:
    assert _told(tmp_path) is None
    (tmp_path / "error-0").write_text("EngineError a neighbour is gone")
    assert isinstance(_told(tmp_path), EngineError)
    (tmp_path / "error-1").write_text("ContractError picture 3 cannot be decoded")
    assert str(_told(tmp_path)) == "picture 3 cannot be decoded"


def test_a_room_smaller_than_a_step_is_told(images: list[ShardAddress], address: Callable[..., ShardAddress]) -> None:
    told: list[Event] = []
    with listening(told.append):
        learn(images, address(room="encoder", lineage="few"), SPEC.model_copy(update={"captions_per_step": 32}), seed=0)
    assert told == [Said("encoder: a step sees all 10 captions that there are, not 32")]


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_a_run_that_is_killed_ends_with_the_very_bytes_of_one_that_is_not(
    workers: int, images: list[ShardAddress], address: Callable[..., ShardAddress], tmp_path: Path
) -> None:
    """SIGKILL at a step that differs with the number of loader workers, also before the first checkpoint."""
    spec = SPEC.model_copy(update={"steps": 12})
    whole, killed = address(room="encoder", lineage="whole"), address(room="encoder", lineage="killed")
    train_encoder(images, whole, spec, seed=3)
    script = tmp_path / "train.py"
    script.write_text(
        "import time\nimport torch\ntorch.set_num_threads(1)\n"
        "from data_specs.run import EncoderSpec\nfrom data_specs.shard import ShardAddress\n"
        "from tasks.encoder.metrics import MetricsLog\nfrom tasks.encoder.train import train_encoder\n"
        "add = MetricsLog.add\n"  # it never gets to its end before it is killed
        "MetricsLog.add = lambda log, row: (add(log, row), time.sleep(600 if row['step'] == 10 else 0))\n"
        f"sources = [ShardAddress.model_validate(place) for place in {[place.model_dump() for place in images]!r}]\n"
        f"address = ShardAddress.model_validate({killed.model_dump()!r})\n"
        f"spec = EncoderSpec.model_validate({spec.model_dump() | {'loader_workers': workers}!r})\n"
        "if __name__ == '__main__':\n    train_encoder(sources, address, spec, seed=3)\n"
    )
    child = subprocess.Popen([sys.executable, str(script)], env={"PYTHONPATH": ".", "PATH": "/usr/bin:/bin"})
    deadline = time.monotonic() + 120
    while len(read_metrics(killed.folder)) < (5, 1, 8)[workers] and time.monotonic() < deadline:
        time.sleep(0.005)
    child.send_signal(signal.SIGKILL)
    assert child.wait() == -signal.SIGKILL
    train_encoder(images, killed, spec, seed=3)
    assert losses(killed) == losses(whole)
    assert weights(killed) == weights(whole)


def test_a_loss_that_is_not_finite_stops_with_the_step_and_the_terms(
    images: list[ShardAddress], address: Callable[..., ShardAddress]
) -> None:
    spec = SPEC.model_copy(update={"lr": 1e30, "warmup_steps": 0, "clip_gradient": None})
    with pytest.raises(SpecError, match=r"diverged at step \d+: .*contrast_global"):
        train_encoder(images, address(room="encoder", lineage="bad"), spec, seed=0)


def test_a_loss_that_is_not_finite_leaves_the_captions_of_its_batch(
    images: list[ShardAddress], address: Callable[..., ShardAddress]
) -> None:
    spec, room = SPEC.model_copy(update={"lr": 1e30, "warmup_steps": 0}), address(room="encoder", lineage="bad")
    with pytest.raises(SpecError, match=r"diverged\.json"):
        train_encoder(images, room, spec, seed=0)
    told = json.loads(Path(room.folder, "diverged.json").read_text())
    assert len(told["captions"]) == 3
    assert told["step"] < 6


@pytest.mark.parametrize("name", OBJECTIVES)
def test_every_objective_is_trained_from_shards_and_a_text_tower_leaves_with_its_encoder(
    name: str, images: list[ShardAddress], address: Callable[..., ShardAddress]
) -> None:
    small = SPEC.model_dump(exclude={"objective", *OBJECTIVES[name], *OBJECTIVES["stablerep_plus"], "positives"})
    spec = EncoderSpec.model_validate(small | {"objective": name, "steps": 2, "text_width": 16, "text_depth": 1})
    room = address(room="encoder", lineage=name)
    train_encoder(images, room, spec, seed=0)
    [sealed] = read_shard(room, checkpoint.CONTRACT)
    assert sealed.objective == name
    files = {path.name for path in Path(room.folder, "encoder").iterdir()}
    text = {"text.safetensors", "text.json", "tokenizer.json"} if spec.text_weight else set()
    assert files == {"model.safetensors", "config.json"} | text


@pytest.mark.parametrize("workers", [1, 2])
def test_loader_workers_change_no_byte_of_what_is_learned(
    workers: int, images: list[ShardAddress], address: Callable[..., ShardAddress]
) -> None:
    """Stopped after two of six steps, too, and gone on with another number of workers."""
    alone, helped = address(room="encoder", lineage="alone"), address(room="encoder", lineage="helped")
    train_encoder(images, alone, SPEC, seed=0)
    learn(images, helped, SPEC.model_copy(update={"max_hours": 1e-9}), seed=0)
    assert len(losses(helped)) == 1
    train_encoder(images, helped, SPEC.model_copy(update={"loader_workers": workers}), seed=0)
    assert losses(helped) == losses(alone)
    assert weights(helped) == weights(alone)


@pytest.mark.parametrize(("accumulate", "head_norm"), [(1, "bn"), (2, "ln")])
def test_two_ranks_learn_what_one_does(
    accumulate: int, head_norm: str, images: list[ShardAddress], address: Callable[..., ShardAddress]
) -> None:
    knobs = {"captions_per_step": 4, "lr": 1e-4, "steps": 3, "head_norm": head_norm, "accumulate": accumulate}
    spec = SPEC.model_copy(update=knobs)
    alone, together = address(room="encoder", lineage="alone"), address(room="encoder", lineage="together")
    train_encoder(images, alone, spec, seed=0)
    train_encoder(images, together, spec.model_copy(update={"ranks": 2}), seed=0)
    for one, both in zip(losses(alone), losses(together), strict=True):
        assert both == pytest.approx(one, rel=1e-5)


@pytest.fixture
def python_ends_badly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever goes Python's own way out is aborted there, as gloo's threads do it to a rank now and then."""
    folder = tmp_path / "planted"
    folder.mkdir()
    Path(folder, "sitecustomize.py").write_text(
        "import atexit, os, sys\n"
        "if 'RANK' in os.environ or '--multiprocessing-fork' in sys.argv:\n"
        "    atexit.register(os.abort)\n"
    )
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")]))


def test_torchrun_trains_the_job_that_a_walk_wrote(
    images: list[ShardAddress], address: Callable[..., ShardAddress], tmp_path: Path, python_ends_badly: None
) -> None:
    spec = SPEC.model_copy(update={"captions_per_step": 4, "lr": 1e-4, "steps": 2})
    alone, together = address(room="encoder", lineage="alone"), address(room="encoder", lineage="together")
    learn(images, alone, spec, seed=0)
    job = Job(sources=tuple(images), address=together, spec=spec.model_copy(update={"ranks": 2}), seed=0)
    Path(tmp_path, "job.json").write_text(job.model_dump_json())
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    done = subprocess.run([*torchrun, "-m", "tasks.encoder.ranks", tmp_path / "job.json"], capture_output=True)
    assert done.returncode == 0, done.stderr.decode()
    for one, both in zip(losses(alone), losses(together), strict=True):
        assert both == pytest.approx(one, rel=1e-5)


def test_sharded_ranks_go_on_from_one_process_and_leave_what_one_process_would(
    images: list[ShardAddress], address: Callable[..., ShardAddress], python_ends_badly: None
) -> None:
    """With a text tower, too: its scale is a scalar, which cannot be sharded."""
    spec = SPEC.model_copy(update={"captions_per_step": 4, "lr": 1e-4, "steps": 4, "probe_every": 2})
    spec = spec.model_copy(update={"text_weight": 1.0, "text_width": 16, "text_depth": 1})
    alone, together = address(room="encoder", lineage="alone"), address(room="encoder", lineage="together")
    train_encoder(images, alone, spec, seed=0)
    learn(images, together, spec.model_copy(update={"max_hours": 1e-9}), seed=0)
    assert len(losses(together)) == 1
    train_encoder(images, together, spec.model_copy(update={"ranks": 2, "sharded": True}), seed=0)
    for row, other in zip(read_metrics(together.folder), read_metrics(alone.folder), strict=True):
        assert row["terms"] == pytest.approx(other["terms"], rel=1e-5)
        assert row["gradient"] == pytest.approx(other["gradient"], rel=1e-4)
        assert ("neighbours_name_concept" in row) == ("neighbours_name_concept" in other)
    found, expected = checkpoints.newest(together.folder), checkpoints.newest(alone.folder)
    assert found is not None
    assert expected is not None
    assert found[1].keys() == expected[1].keys()
    for name, tensor in expected[1].items():
        if "layers" not in name or not name.endswith(("running_mean", "running_var", "num_batches_tracked")):
            # Adam divides a gradient by its own size, so one that is rounding alone still moves a weight by lr.
            assert torch.allclose(found[1][name], tensor, rtol=1e-3, atol=3 * spec.lr), name
    exported = load_exported({path.name: path.read_bytes() for path in Path(together.folder, "encoder").iterdir()})
    prefix = "objective.teacher.backbone."
    for name, tensor in exported.state_dict().items():
        assert torch.equal(tensor, found[1][prefix + name])


@pytest.mark.slow
def test_a_compiled_backbone_learns_the_same_and_is_not_compiled_anew_each_step(
    images: list[ShardAddress], address: Callable[..., ShardAddress], monkeypatch: pytest.MonkeyPatch
) -> None:
    """By TorchDynamo alone, whose graphs run as they are: a compiler would take minutes."""
    compiled = torch.nn.Module.compile
    monkeypatch.setattr(torch.nn.Module, "compile", lambda self, **options: compiled(self, backend="eager", **options))
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    plain, room = address(room="encoder", lineage="plain"), address(room="encoder", lineage="compiled")
    train_encoder(images, plain, SPEC, seed=0)
    learn(images, room, SPEC.model_copy(update={"compile": True, "max_hours": 1e-9}), seed=0)
    train_encoder(images, room, SPEC.model_copy(update={"compile": True}), seed=0)
    assert weights(room) == weights(plain)
    # One for global crops, one for local ones.
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == 2
    assert not torch._dynamo.utils.counters["graph_break"]


def test_rows_of_the_log_are_published_before_the_checkpoint_that_counts_on_them(
    images: list[ShardAddress], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the log is put whole: a process that dies between the two leaves rows too many, never too few."""
    room = ShardAddress(folder=f"memory://{tmp_path.name}", room="encoder", lineage="far", index=0)

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as dying:
        dying.setattr(checkpoints, "save", killed)
        with pytest.raises(KeyboardInterrupt):
            learn(images, room, SPEC, seed=0)
    assert [row["step"] for row in read_metrics(room.folder)] == [0, 1]
    learn(images, room, SPEC, seed=0)
    assert [row["step"] for row in read_metrics(room.folder)] == list(range(6))


def test_a_warm_up_that_never_ends_is_told(images: list[ShardAddress], address: Callable[..., ShardAddress]) -> None:
    told: list[Event] = []
    with listening(told.append):
        learn(images, address(room="encoder", lineage="brief"), SPEC.model_copy(update={"steps": 1}), seed=0)
    assert Said("encoder: warmup_steps 2 are more than steps 1: lr never reaches its peak") in told


def test_batches_that_are_accumulated_are_one_step(
    images: list[ShardAddress], address: Callable[..., ShardAddress]
) -> None:
    room = address(room="encoder", lineage="one")
    train_encoder(images, room, SPEC.model_copy(update={"accumulate": 2, "steps": 3}), seed=0)
    [sealed] = read_shard(room, checkpoint.CONTRACT)
    assert (sealed.step, sealed.images_seen) == (3, 36)
    assert len(losses(room)) == 3


def test_training_stops_when_its_hours_are_used_and_says_how_far_it_came(
    images: list[ShardAddress], address: Callable[..., ShardAddress]
) -> None:
    room = address(room="encoder", lineage="short")
    train_encoder(images, room, SPEC.model_copy(update={"max_hours": 1e-9}), seed=0)
    [sealed] = read_shard(room, checkpoint.CONTRACT)
    assert (sealed.step, sealed.steps) == (1, 6)


def test_neighbours_are_asked_every_so_many_steps_and_change_nothing(
    images: list[ShardAddress], address: Callable[..., ShardAddress]
) -> None:
    asked, silent = address(room="encoder", lineage="asked"), address(room="encoder", lineage="silent")
    train_encoder(images, asked, SPEC.model_copy(update={"probe_every": 2}), seed=0)
    train_encoder(images, silent, SPEC.model_copy(update={"probe_every": 0}), seed=0)
    found = [row.get("neighbours_name_concept") for row in read_metrics(asked.folder)]
    assert [value is not None for value in found] == [False, True] * 3
    assert all(value == 1.0 for value in found if value is not None), "there is one concept"
    assert weights(asked) == weights(silent)


def test_a_store_holds_few_shards_and_gives_what_it_gave_before(images: list[ShardAddress]) -> None:
    spec = SPEC.model_copy(update={"shuffle_shards": 1, "captions_per_step": 4})
    store = PictureStore(images * 3, spec.shuffle_shards)
    order = Order(store.counts, store.copies, spec, 0)
    first = [store.pictures(order.choose(step)) for step in range(7)]
    assert len(store._held) == 2
    for step, before in enumerate(first):
        assert torch.equal(store.pictures(order.choose(step)).pixels_I3SS, before.pixels_I3SS)


@pytest.mark.parametrize("held", [1, 2, 5])
def test_every_epoch_sees_every_caption_once_in_another_order(held: int) -> None:
    spec = SPEC.model_copy(update={"shuffle_shards": held})
    order = Order([5, 0, 4, 3], 4, spec, 0)
    epochs = [np.concatenate([order.choose(step).places_C2 for step in range(4 * e, 4 * e + 4)]) for e in range(2)]
    every = [(shard, row) for shard, count in enumerate([5, 0, 4, 3]) for row in range(count)]
    assert [sorted(map(tuple, epoch.tolist())) for epoch in epochs] == [every] * 2
    assert epochs[0].tolist() != epochs[1].tolist()
    assert all(len(set(row)) == 2 for row in order.choose(0).copies_CK.tolist())
    for epoch in epochs:  # no more shards at a time than are held
        changes = [a != b for a, b in zip(epoch[:, 0], epoch[1:, 0], strict=False)]
        assert held > 1 or sum(changes) == 2


def test_too_few_captions_or_pictures_are_refused_in_words() -> None:
    with pytest.raises(SpecError, match="captions.total"):
        Order([1, 0], 4, SPEC, 0)
    with pytest.raises(SpecError, match="images.per_caption"):
        Order([12], 1, SPEC, 0)
    few = Order([10], 4, SPEC.model_copy(update={"captions_per_step": 32}), 0).choose(0)
    assert [len(few.share(rank, 2).places_C2) for rank in (0, 1)] == [5, 5]
    with pytest.raises(SpecError, match="10 captions a step cannot be shared by 4 ranks"):
        few.share(0, 4)


def test_pictures_carry_identities_that_follow_from_ids(images: list[ShardAddress]) -> None:
    store = PictureStore(images, 4)
    batch = store.pictures(Order(store.counts, store.copies, SPEC, 0).choose(0))
    assert batch.pixels_I3SS.dtype == torch.uint8
    assert batch.pixels_I3SS.shape == (6, 3, 32, 32)
    assert len(set(batch.images_I.tolist())) == 6
    assert len(set(batch.captions_I.tolist())) == 3
    assert batch.captions_C.tolist() == batch.captions_I[::2].tolist()
    assert len(batch.texts) == 3


def test_captions_of_one_text_are_one_class_and_bytes_that_are_no_picture_are_named(
    address: Callable[..., ShardAddress],
) -> None:
    def store(lineage: str, groups: list[ImageGroup]) -> PictureStore:
        place = address(room="images", lineage=lineage)
        make_shard(place, image_group.CONTRACT, lambda: groups)
        return PictureStore([place], 1)

    with pytest.raises(ContractError, match="no pictures"):
        store("empty", [])
    twins = [make_group(make_caption(slot=slot, text="A dog  on the beach")) for slot in (0, 1)]
    twins = [ImageGroup(t.caption, t.rendering, t.images, tuple(picture(k) for k in range(4))) for t in twins]
    found = store("twins", twins)
    batch = found.pictures(Order(found.counts, found.copies, SPEC, 0).choose(0))
    assert len(set(batch.captions_I.tolist())) == 1
    broken = ImageGroup(twins[0].caption, twins[0].rendering, twins[0].images, (picture(0), b"x", b"x", b"x"))
    whole = SPEC.model_copy(update={"images_per_caption": 4})
    found = store("broken", [broken, twins[1]])
    with pytest.raises(ContractError, match="cannot be decoded"):
        found.pictures(Order(found.counts, found.copies, whole, 0).choose(0))
    fewer = ImageGroup(twins[1].caption, twins[1].rendering, twins[1].images[:3], twins[1].pixels[:3])
    with pytest.raises(ContractError, match="has 3 pictures, others have 4"):
        found = store("unequal", [twins[0], fewer])
        found.pictures(Order(found.counts, found.copies, SPEC, 0).choose(0))
