"""Training from shards: the same run twice gives the same bytes, and a killed one ends as if it had not been."""

import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image as PillowImage

from data_specs import checkpoint, image_group
from data_specs.checkpoint import Checkpoint
from data_specs.errors import ContractError, EngineError, SpecError
from data_specs.ids import Lineage
from data_specs.image_group import ImageGroup
from data_specs.shard import MadeBy, ShardManifest
from data_specs.specs.encoder import OBJECTIVES, EncoderSpec
from data_specs.stage import Stage
from models.encoder.exported import load_exported
from models.encoder.training import EncoderTraining
from support.builders import make_caption, make_group
from tasks import storage
from tasks.bundles import Work
from tasks.encoder import checkpoints, train, train_steps
from tasks.encoder.batches import Order
from tasks.encoder.checkpoints import verify_checkpoints
from tasks.encoder.image_store import ImageStore
from tasks.encoder.metrics import read_metrics
from tasks.encoder.ranks import _cause
from tasks.encoder.train import EncoderInputs, EncoderWork, train_shard
from tasks.encoder.training_job import TrainingJob
from tasks.events import Event, Notice
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


def image(number: int) -> bytes:
    pixels = np.random.default_rng(number).integers(0, 255, (32, 32, 3), dtype=np.uint8)
    stream = io.BytesIO()
    PillowImage.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


def group(slot: int) -> ImageGroup:
    drawn = make_group(make_caption(slot=slot))
    return ImageGroup(drawn.caption, drawn.rendering, drawn.images, tuple(image(10 * slot + k) for k in range(4)))


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Sums round differently with another number of threads: bytes are compared at equal numbers, as runs have them."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def sealed_images(folder: Path, shards: int) -> Stage:
    stage = Stage(name="images", lineage=Lineage("images"), folder=str(folder), count=shards, facts={})
    for address in stage.shards():
        make_shard(address, image_group.CONTRACT, lambda at=address: (group(5 * at.index + s) for s in range(5)))
    return stage


@pytest.fixture
def images(tmp_path: Path) -> Stage:
    return sealed_images(tmp_path / "images", 2)


@pytest.fixture
def encoder(tmp_path: Path) -> Callable[[str], Stage]:
    """The encoder stage of a lineage, of which nothing is made yet."""

    def of_lineage(lineage: str) -> Stage:
        folder = str(tmp_path / "encoder" / lineage)
        return Stage(name="encoder", lineage=Lineage(lineage), folder=folder, count=1, facts={})

    return of_lineage


TRAINED = Notice("", "", "trained")


def job_of(images: Stage, stage: Stage, spec: EncoderSpec) -> TrainingJob:
    return TrainingJob(images=images, address=stage.table, spec=spec, seed=0)


def train_only(images: Stage, stage: Stage, spec: EncoderSpec) -> None:
    """As a rank does: nothing is sealed."""
    train_steps.train(job_of(images, stage, spec))


def work_of(images: Stage, stage: Stage, spec: EncoderSpec, seed: int = 0) -> EncoderWork:
    return Work(stage, (0,), spec, EncoderInputs(images), seed, MadeBy("a run"))


def train_and_seal(images: Stage, stage: Stage, spec: EncoderSpec, seed: int = 0) -> ShardManifest:
    return train_shard(work_of(images, stage, spec, seed))


def exported(stage: Stage, name: str) -> Path:
    return export_of(stage) / name


def export_of(stage: Stage) -> Path:
    [folder] = (path for path in Path(stage.folder).glob("exported-*") if any(path.iterdir()))
    return folder


def weights(stage: Stage) -> bytes:
    return exported(stage, "model.safetensors").read_bytes()


def losses(stage: Stage) -> list[dict[str, float]]:
    return [row["terms"] for row in read_metrics(stage.folder)]


def test_an_encoder_is_trained_sealed_and_not_trained_again(images: Stage, encoder: Callable[[str], Stage]) -> None:
    stage = encoder("one")
    manifest = train_and_seal(images, stage, SPEC)
    [sealed] = read_shard(stage.table, checkpoint.CONTRACT)
    assert (sealed.step, sealed.images_seen, sealed.images_lineage) == (6, 36, "images")
    assert sealed.shards == ("images-000000", "images-000001")
    assert set(sealed.terms) == {"contrast_global", "contrast_local", "ibot"}
    assert not list(verify_checkpoints(stage.table))
    before = weights(stage)
    assert train_and_seal(images, stage, SPEC) == manifest
    again = encoder("two")
    train_and_seal(images, again, SPEC)
    assert weights(again) == before
    assert losses(again) == losses(stage)
    exported(stage, "config.json").write_text("{}")
    assert "not as sealed" in next(verify_checkpoints(stage.table))


def test_of_two_hosts_that_train_an_encoder_the_first_to_seal_it_counts(
    images: Stage, encoder: Callable[[str], Stage], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The late one has learned other weights, of which nothing is left but its checkpoints."""
    stage, other = encoder("one"), encoder("other")
    train_and_seal(images, other, SPEC, seed=1)
    build = train.build_checkpoint_record

    def frozen(job: TrainingJob) -> Checkpoint:
        record = build(job)
        for path in Path(other.folder).glob("exported-*"):
            shutil.copytree(path, Path(stage.folder) / path.name)
        [first] = read_shard(other.table, checkpoint.CONTRACT)
        with pytest.MonkeyPatch.context() as there:
            there.setattr(storage, "HOST", "other")
            there.setattr(storage, "claim", lambda *_, **__: nullcontext(True))
            make_shard(stage.table, checkpoint.CONTRACT, lambda: [first])
        return record

    monkeypatch.setattr(train, "build_checkpoint_record", frozen)
    train_and_seal(images, stage, SPEC)
    assert weights(stage) == weights(other) and not list(verify_checkpoints(stage.table))


def test_only_the_last_checkpoints_are_kept_and_a_damaged_one_is_passed_over(
    images: Stage, encoder: Callable[[str], Stage]
) -> None:
    stage = encoder("one")
    train_and_seal(images, stage, SPEC)
    kept = sorted(path.name for path in Path(checkpoints.checkpoints_folder(stage.folder)).iterdir())
    assert kept == [f"step-0000000{step}.{suffix}" for step in (4, 6) for suffix in ("json", "safetensors")]
    Path(checkpoints.checkpoints_folder(stage.folder), "step-00000006.safetensors").write_bytes(b"half")
    found = checkpoints.newest(stage.folder)
    assert found is not None
    assert found[0] == 4


def test_a_checkpoint_that_was_just_written_stays_and_a_damaged_later_one_goes(tmp_path: Path) -> None:
    stage, tensors = str(tmp_path), {"weight": torch.ones(2)}
    for step in (100, 200):
        checkpoints.save(stage, step, tensors, keep=2)
    Path(checkpoints.checkpoints_folder(stage), "step-00000200.safetensors").write_bytes(b"half")
    checkpoints.save(stage, 130, tensors, keep=1)
    assert checkpoints.newest(stage) is not None and checkpoints.steps_done(stage) == 130
    assert sorted(path.name for path in Path(checkpoints.checkpoints_folder(stage)).iterdir()) == [
        "step-00000130.json",
        "step-00000130.safetensors",
    ]


def test_what_is_trained_to_its_end_is_sealed_without_training(
    images: Stage, encoder: Callable[[str], Stage], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where torchrun has trained on other hosts, from the job that the run wrote."""
    stage = encoder("one")
    train_only(images, stage, SPEC)
    monkeypatch.setattr(train_steps, "train", lambda _: pytest.fail("trained again"))
    train_and_seal(images, stage, SPEC)
    assert TrainingJob.model_validate_json(Path(stage.folder, "job.json").read_bytes()).spec == SPEC


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
    images: Stage,
    encoder: Callable[[str], Stage],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def break_down(*_: object) -> None:
        raise raised

    monkeypatch.setattr(EncoderTraining, "advance", break_down)
    with pytest.raises(expected, match=said):
        train_only(images, encoder("broken"), SPEC)


def test_of_ranks_that_fail_together_the_cause_is_told(tmp_path: Path) -> None:
    assert _cause(tmp_path) is None
    (tmp_path / "error-0").write_text("EngineError a neighbour is gone")
    assert isinstance(_cause(tmp_path), EngineError)
    (tmp_path / "error-1").write_text("ContractError image 3 cannot be decoded")
    assert str(_cause(tmp_path)) == "image 3 cannot be decoded"


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"captions_per_step": 32}, "a step sees all 10 captions that there are, not 32"),
        ({"warmup_steps": 7}, "warmup_steps 7 are more than steps 6: lr never reaches its peak"),
    ],
)
def test_settings_that_nobody_can_have_meant_are_told_before_training(
    settings: dict[str, int], text: str, images: Stage, encoder: Callable[[str], Stage], monkeypatch: pytest.MonkeyPatch
) -> None:
    events: list[Event] = []
    monkeypatch.setattr(train_steps, "train", lambda _: events.append(TRAINED))
    with pytest.raises(ContractError, match="no checkpoint"):
        train_shard(work_of(images, encoder("odd"), SPEC.model_copy(update=settings)), emit=events.append)
    assert events == [Notice("a run", "encoder", text), TRAINED]


@pytest.mark.slow(15)
@pytest.mark.parametrize(
    "workers", [pytest.param(0, marks=pytest.mark.long(15)), pytest.param(1, marks=pytest.mark.long(15)), 2]
)
def test_a_run_that_is_killed_ends_with_the_very_bytes_of_one_that_is_not(
    workers: int, images: Stage, encoder: Callable[[str], Stage], tmp_path: Path
) -> None:
    """SIGKILL at a step that differs with the number of loader workers, also before the first checkpoint."""
    spec = SPEC.model_copy(update={"steps": 12})
    whole, killed = encoder("whole"), encoder("killed")
    train_and_seal(images, whole, spec, seed=3)
    script = tmp_path / "train.py"
    script.write_text(
        "import time\nimport torch\ntorch.set_num_threads(1)\n"
        "from data_specs.specs.encoder import EncoderSpec\nfrom data_specs.stage import Stage\n"
        "from tasks.bundles import Work\nfrom tasks.encoder.metrics import MetricsLog\n"
        "from tasks.encoder.train import EncoderInputs, train_shard\n"
        "add = MetricsLog.add\n"  # it never gets to its end before it is killed
        "MetricsLog.add = lambda log, row: (add(log, row), time.sleep(600 if row['step'] == 10 else 0))\n"
        f"images = Stage.model_validate({images.model_dump()!r})\n"
        f"stage = Stage.model_validate({killed.model_dump()!r})\n"
        f"spec = EncoderSpec.model_validate({spec.model_dump() | {'loader_workers': workers}!r})\n"
        "if __name__ == '__main__':\n    train_shard(Work(stage, (0,), spec, EncoderInputs(images), 3))\n"
    )
    child = subprocess.Popen([sys.executable, str(script)], env={"PYTHONPATH": ".", "PATH": "/usr/bin:/bin"})
    deadline = time.monotonic() + 120
    while len(read_metrics(killed.folder)) < (5, 1, 8)[workers] and time.monotonic() < deadline:
        time.sleep(0.005)
    child.send_signal(signal.SIGKILL)
    assert child.wait() == -signal.SIGKILL
    train_and_seal(images, killed, spec, seed=3)
    assert losses(killed) == losses(whole)
    assert weights(killed) == weights(whole)


def test_a_loss_that_is_not_finite_stops_with_the_step_and_the_terms(
    images: Stage, encoder: Callable[[str], Stage]
) -> None:
    spec = SPEC.model_copy(update={"lr": 1e30, "warmup_steps": 0, "clip_gradient": None})
    with pytest.raises(SpecError, match=r"diverged at step \d+: .*contrast_global"):
        train_and_seal(images, encoder("bad"), spec)


def test_a_loss_that_is_not_finite_leaves_the_captions_of_its_batch(
    images: Stage, encoder: Callable[[str], Stage]
) -> None:
    spec, stage = SPEC.model_copy(update={"lr": 1e30, "warmup_steps": 0}), encoder("bad")
    with pytest.raises(SpecError, match=r"diverged\.json"):
        train_and_seal(images, stage, spec)
    told = json.loads(Path(stage.folder, "diverged.json").read_text())
    assert len(told["captions"]) == 3
    assert told["step"] < 6


@pytest.mark.parametrize("name", OBJECTIVES)
def test_every_objective_is_trained_from_shards_and_a_text_tower_leaves_with_its_encoder(
    name: str, images: Stage, encoder: Callable[[str], Stage]
) -> None:
    small = SPEC.model_dump(exclude={"objective", *OBJECTIVES[name], *OBJECTIVES["stablerep_plus"], "positives"})
    spec = EncoderSpec.model_validate(small | {"objective": name, "steps": 2, "text_width": 16, "text_depth": 1})
    stage = encoder(name)
    train_and_seal(images, stage, spec)
    [sealed] = read_shard(stage.table, checkpoint.CONTRACT)
    assert sealed.objective == name
    files = {path.name for path in export_of(stage).iterdir()}
    text = {"text.safetensors", "text.json", "tokenizer.json"} if spec.text_weight else set()
    assert files == {"model.safetensors", "config.json"} | text


@pytest.mark.slow(10)
@pytest.mark.parametrize("workers", [pytest.param(1, marks=pytest.mark.long(10)), 2])
def test_loader_workers_change_no_byte_of_what_is_learned(
    workers: int, images: Stage, encoder: Callable[[str], Stage]
) -> None:
    """Stopped after two of six steps, too, and gone on with another number of workers."""
    alone, helped = encoder("alone"), encoder("helped")
    train_and_seal(images, alone, SPEC)
    train_only(images, helped, SPEC.model_copy(update={"max_hours": 1e-9}))
    assert len(losses(helped)) == 1
    train_and_seal(images, helped, SPEC.model_copy(update={"loader_workers": workers}))
    assert losses(helped) == losses(alone)
    assert weights(helped) == weights(alone)


@pytest.mark.slow(15)
@pytest.mark.parametrize(("accumulate", "head_norm"), [pytest.param(1, "bn", marks=pytest.mark.long(15)), (2, "ln")])
def test_two_ranks_learn_what_one_does(
    accumulate: int, head_norm: str, images: Stage, encoder: Callable[[str], Stage]
) -> None:
    settings = {"captions_per_step": 4, "lr": 1e-4, "steps": 3, "head_norm": head_norm, "accumulate": accumulate}
    spec = SPEC.model_copy(update=settings)
    alone, together = encoder("alone"), encoder("together")
    train_and_seal(images, alone, spec)
    train_and_seal(images, together, spec.model_copy(update={"ranks": 2}))
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


@pytest.mark.slow(15)
def test_torchrun_trains_the_job_that_a_run_wrote(
    images: Stage, encoder: Callable[[str], Stage], tmp_path: Path, python_ends_badly: None
) -> None:
    spec = SPEC.model_copy(update={"captions_per_step": 4, "lr": 1e-4, "steps": 2})
    alone, together = encoder("alone"), encoder("together")
    train_only(images, alone, spec)
    job = job_of(images, together, spec.model_copy(update={"ranks": 2}))
    Path(tmp_path, "job.json").write_text(job.model_dump_json())
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    done = subprocess.run([*torchrun, "-m", "tasks.encoder.ranks", tmp_path / "job.json"], capture_output=True)
    assert done.returncode == 0, done.stderr.decode()
    for one, both in zip(losses(alone), losses(together), strict=True):
        assert both == pytest.approx(one, rel=1e-5)


@pytest.mark.slow(15)
def test_sharded_ranks_go_on_from_one_process_and_leave_what_one_process_would(
    images: Stage, encoder: Callable[[str], Stage], python_ends_badly: None
) -> None:
    """With a text tower, too: its scale is a scalar, which cannot be sharded."""
    spec = SPEC.model_copy(update={"captions_per_step": 4, "lr": 1e-4, "steps": 4, "probe_every": 2})
    spec = spec.model_copy(update={"text_weight": 1.0, "text_width": 16, "text_depth": 1})
    alone, together = encoder("alone"), encoder("together")
    train_and_seal(images, alone, spec)
    train_only(images, together, spec.model_copy(update={"max_hours": 1e-9}))
    assert len(losses(together)) == 1
    train_and_seal(images, together, spec.model_copy(update={"ranks": 2, "sharded": True}))
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
    exported = load_exported({path.name: path.read_bytes() for path in export_of(together).iterdir()})
    prefix = "objective.teacher.backbone."
    for name, tensor in exported.state_dict().items():
        assert torch.equal(tensor, found[1][prefix + name])


@pytest.mark.slow(15)
def test_a_compiled_backbone_learns_the_same_and_is_not_compiled_anew_each_step(
    images: Stage, encoder: Callable[[str], Stage], monkeypatch: pytest.MonkeyPatch
) -> None:
    """By TorchDynamo alone, whose graphs run as they are: a compiler would take minutes."""
    compiled = torch.nn.Module.compile
    monkeypatch.setattr(torch.nn.Module, "compile", lambda self, **options: compiled(self, backend="eager", **options))
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    plain, stage = encoder("plain"), encoder("compiled")
    train_and_seal(images, plain, SPEC)
    train_only(images, stage, SPEC.model_copy(update={"compile": True, "max_hours": 1e-9}))
    train_and_seal(images, stage, SPEC.model_copy(update={"compile": True}))
    assert weights(stage) == weights(plain)
    # One for global crops, one for local ones.
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == 2
    assert not torch._dynamo.utils.counters["graph_break"]


def test_rows_of_the_log_are_published_before_the_checkpoint_that_counts_on_them(
    images: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the log is written whole: a process that dies between the two leaves rows too many, never too few."""
    folder = f"memory://{tmp_path.name}"
    stage = Stage(name="encoder", lineage=Lineage("far"), folder=folder, count=1, facts={})

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as dying:
        dying.setattr(checkpoints, "save", killed)
        with pytest.raises(KeyboardInterrupt):
            train_only(images, stage, SPEC)
    assert [row["step"] for row in read_metrics(stage.folder)] == [0, 1]
    train_only(images, stage, SPEC)
    assert [row["step"] for row in read_metrics(stage.folder)] == list(range(6))


def test_batches_that_are_accumulated_are_one_step(images: Stage, encoder: Callable[[str], Stage]) -> None:
    stage = encoder("one")
    train_and_seal(images, stage, SPEC.model_copy(update={"accumulate": 2, "steps": 3}))
    [sealed] = read_shard(stage.table, checkpoint.CONTRACT)
    assert (sealed.step, sealed.images_seen) == (3, 36)
    assert len(losses(stage)) == 3


def test_training_stops_when_its_hours_are_used_and_says_how_far_it_came(
    images: Stage, encoder: Callable[[str], Stage]
) -> None:
    stage = encoder("short")
    train_and_seal(images, stage, SPEC.model_copy(update={"max_hours": 1e-9}))
    [sealed] = read_shard(stage.table, checkpoint.CONTRACT)
    assert (sealed.step, sealed.steps) == (1, 6)


def test_neighbours_are_asked_every_so_many_steps_and_change_nothing(
    images: Stage, encoder: Callable[[str], Stage]
) -> None:
    asked, silent = encoder("asked"), encoder("silent")
    train_and_seal(images, asked, SPEC.model_copy(update={"probe_every": 2}))
    train_and_seal(images, silent, SPEC.model_copy(update={"probe_every": 0}))
    found = [row.get("neighbours_name_concept") for row in read_metrics(asked.folder)]
    assert [value is not None for value in found] == [False, True] * 3
    assert all(value == 1.0 for value in found if value is not None), "there is one concept"
    assert weights(asked) == weights(silent)


def test_a_store_holds_few_shards_and_gives_what_it_gave_before(tmp_path: Path) -> None:
    spec = SPEC.model_copy(update={"shuffle_shards": 1, "captions_per_step": 4})
    store = ImageStore(sealed_images(tmp_path, 6), spec.shuffle_shards)
    order = Order(store.counts, store.copies, spec, 0)
    first = [store.images(order.choose(step)) for step in range(7)]
    assert len(store._held) == 2
    for step, before in enumerate(first):
        assert torch.equal(store.images(order.choose(step)).pixels_I3SS, before.pixels_I3SS)


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


def test_too_few_captions_or_images_are_refused_in_words() -> None:
    with pytest.raises(SpecError, match="captions.total"):
        Order([1, 0], 4, SPEC, 0)
    with pytest.raises(SpecError, match="images.per_caption"):
        Order([12], 1, SPEC, 0)
    few = Order([10], 4, SPEC.model_copy(update={"captions_per_step": 32}), 0).choose(0)
    assert [len(few.share(rank, 2).places_C2) for rank in (0, 1)] == [5, 5]
    with pytest.raises(SpecError, match="10 captions a step cannot be shared by 4 ranks"):
        few.share(0, 4)


def test_images_carry_identities_that_follow_from_ids(images: Stage) -> None:
    store = ImageStore(images, 4)
    batch = store.images(Order(store.counts, store.copies, SPEC, 0).choose(0))
    assert batch.pixels_I3SS.dtype == torch.uint8
    assert batch.pixels_I3SS.shape == (6, 3, 32, 32)
    assert len(set(batch.images_I.tolist())) == 6
    assert len(set(batch.captions_I.tolist())) == 3
    assert batch.captions_C.tolist() == batch.captions_I[::2].tolist()
    assert len(batch.texts) == 3


def test_captions_of_one_text_are_one_class_and_bytes_that_are_no_image_are_named(
    tmp_path: Path,
) -> None:
    def store(lineage: str, groups: list[ImageGroup]) -> ImageStore:
        folder = str(tmp_path / lineage)
        stage = Stage(name="images", lineage=Lineage(lineage), folder=folder, count=1, facts={})
        make_shard(stage.table, image_group.CONTRACT, lambda: groups)
        return ImageStore(stage, 1)

    with pytest.raises(ContractError, match="no images"):
        store("empty", [])
    twins = [make_group(make_caption(slot=slot, text="A dog  on the beach")) for slot in (0, 1)]
    twins = [ImageGroup(t.caption, t.rendering, t.images, tuple(image(k) for k in range(4))) for t in twins]
    found = store("twins", twins)
    batch = found.images(Order(found.counts, found.copies, SPEC, 0).choose(0))
    assert len(set(batch.captions_I.tolist())) == 1
    broken = ImageGroup(twins[0].caption, twins[0].rendering, twins[0].images, (image(0), b"x", b"x", b"x"))
    whole = SPEC.model_copy(update={"images_per_caption": 4})
    found = store("broken", [broken, twins[1]])
    with pytest.raises(ContractError, match="cannot be decoded"):
        found.images(Order(found.counts, found.copies, whole, 0).choose(0))
    fewer = ImageGroup(twins[1].caption, twins[1].rendering, twins[1].images[:3], twins[1].pixels[:3])
    with pytest.raises(ContractError, match="has 3 images, others have 4"):
        found = store("unequal", [twins[0], fewer])
        found.images(Order(found.counts, found.copies, SPEC, 0).choose(0))
