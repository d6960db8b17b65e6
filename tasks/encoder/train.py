"""Train an encoder from sealed image shards, with checkpoints on the way, and seal one checkpoint record at the end.

Beside the shard lie `exported-<digest>/` (safetensors and config.json, ready to load), `metrics.jsonl` and `checkpoints/`.
"""

import hashlib
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass

from data_specs import checkpoint as checkpoint_record
from data_specs.checkpoint import Checkpoint
from data_specs.errors import ContractError, EngineError
from data_specs.ids import digest, seed_of
from data_specs.shard import ShardAddress, ShardManifest
from data_specs.specs.encoder import EncoderSpec
from data_specs.stage import Stage
from tasks import storage
from tasks.bundles import Work
from tasks.encoder import checkpoints
from tasks.encoder.metrics import MetricsRow, hours_trained, newest_row, read_metrics
from tasks.encoder.training_job import TrainingJob
from tasks.engines import EngineProcess
from tasks.events import Advanced, Emit, Notice, ignore
from tasks.shards import make_shard, read_shard, require_manifests

AVERAGED_STEPS = 50
"""The terms of a checkpoint record are means over its last steps: those of one batch say little."""
POLL_SECONDS = 1.0
EXPORTED = "exported-"


@dataclass(frozen=True, slots=True)
class EncoderInputs:
    """The sealed image shards to train on."""

    images: Stage


EncoderWork = Work[EncoderSpec, EncoderInputs]


def train_bundle(work: EncoderWork, engine: EngineProcess, emit: Emit) -> int:
    """Train in an engine's process, and meanwhile emit what its metrics log says; returns how many checkpoints are sealed.

    A retry goes on from the newest checkpoint.
    """
    folder = work.stage.folder
    pool = ThreadPoolExecutor(1, "training")
    try:
        # Read before the training is there to change it.
        done, left = checkpoints.steps_done(folder), newest_row(folder)
        training = pool.submit(engine.call, train_shard, work, emit=emit)
        _emit_progress(training, work, done, left, emit, engine.alive)
        return training.result().accepted
    finally:
        pool.shutdown(wait=False)  # at Ctrl-C it may have hours to go: it ends when the stage closes its engine


def _emit_progress(
    training: "Future[ShardManifest]",
    work: EncoderWork,
    emitted: int,
    left: MetricsRow | None,
    emit: Emit,
    alive: Callable[[], None],
) -> None:
    """Emit steps beyond the first `emitted` as the metrics log shows them, until the training ends; `alive` with each.

    `left` is the log's newest row before: rows that a stopped training left beyond its checkpoint count for nothing.
    """
    while not training.done():
        wait([training], timeout=POLL_SECONDS)
        try:
            row = newest_row(work.stage.folder)
        except OSError:  # a failed read of remote storage ends no training
            continue
        if row and row != left and (done := row["step"] + 1) != emitted:
            alive()
            emit(Advanced(work.made_by.run, work.stage.name, done - emitted, f"loss {row['loss']:.3f}"))
            emitted = done


def train_shard(work: EncoderWork, *, emit: Emit = ignore) -> ShardManifest:
    """Train and seal the stage's one shard, going on from the newest valid checkpoint. A sealed encoder is returned untouched.

    Two processes on one encoder: the second waits for the first. Raises SpecError if the loss diverges.
    """
    job = training_job(work)

    def outcomes() -> Iterator[Checkpoint]:
        # Whoever trains this encoder by torchrun, on several hosts, reads it.
        storage.write_bytes(f"{job.folder}/job.json", job.model_dump_json(indent=2).encode())
        if not _is_trained(job):
            for text in _advice(job):
                emit(Notice(work.made_by.run, work.stage.name, text))
            train_or_resume(job)
        yield build_checkpoint_record(job)

    manifest = make_shard(job.address, checkpoint_record.CONTRACT, outcomes, made_by=work.made_by, emit=emit)
    _sweep_exports(job.address)
    return manifest


def _sweep_exports(encoder: ShardAddress) -> None:
    """Remove the exported files that the sealed record does not name: those of a host that sealed too late."""
    folders = [name for name in storage.names(encoder.folder) if name.startswith(EXPORTED)]
    if len(folders) < 2:
        return
    [record] = read_shard(encoder, checkpoint_record.CONTRACT)
    for folder in folders:
        for name in storage.names(f"{encoder.folder}/{folder}"):
            if f"{folder}/{name}" not in record.files and ".part-" not in name:
                storage.remove(f"{encoder.folder}/{folder}/{name}")


def training_job(work: EncoderWork) -> TrainingJob:
    spec, seed = work.settings, work.seed
    if spec.repeat:
        seed = seed_of("encoder", "repeat", seed, spec.repeat)
    return TrainingJob(images=work.inputs.images, address=work.stage.table, spec=spec, seed=seed)


def _advice(job: TrainingJob) -> Iterator[str]:
    """What a person may not have meant by these settings."""
    spec, captions = job.spec, sum(manifest.accepted for manifest in require_manifests(job.images))
    if captions < spec.captions_per_step:
        yield f"a step sees all {captions} captions that there are, not {spec.captions_per_step}"
    if spec.warmup_steps > spec.steps:
        yield f"warmup_steps {spec.warmup_steps} are more than steps {spec.steps}: lr never reaches its peak"


def train_or_resume(job: TrainingJob) -> None:
    """Do the steps that are left, in this process or in `ranks` processes of this host."""
    # torch is imported where training happens, not where flows are put together.
    if job.spec.ranks == 1:
        from tasks.encoder.train_steps import train

        train(job)
    else:
        from tasks.encoder.ranks import train_on_ranks

        train_on_ranks(job)


def _is_trained(job: TrainingJob) -> bool:
    """The newest checkpoint is the last step's, or that of the hour at which training was to stop."""
    spec, done = job.spec, checkpoints.steps_done(job.folder)
    if done < spec.steps:
        if spec.max_hours is None:
            return False
        if hours_trained([row for row in read_metrics(job.folder) if row["step"] < done]) < spec.max_hours:
            return False
    found = checkpoints.newest(job.folder)  # read whole only here: a damaged one is trained again
    return found is not None and found[0] == done


def build_checkpoint_record(job: TrainingJob) -> Checkpoint:
    """Export the newest checkpoint's encoder and describe it: the same weights and metrics give the same record."""
    from models.encoder.exported import export
    from models.encoder.training import EncoderTraining
    from tasks.encoder.loader import StepBatches

    found = checkpoints.newest(job.folder)
    if found is None:
        raise ContractError(f"{job.folder}/checkpoints holds no checkpoint that can be read; train again")
    step, tensors = found
    if step < job.spec.steps and not _is_trained(job):  # another host that trains it has gone back
        raise EngineError(f"the newest checkpoint in {job.folder} is of step {step}, not the last; going on from it")
    store, order = StepBatches(job.images, job.spec, job.seed).open()
    training = EncoderTraining(job.spec, job.seed, len(store.concepts))
    training.restore(tensors, step)
    exported = export(training.objective.exported, training.objective.text)
    digests = {name: hashlib.sha256(data).hexdigest() for name, data in sorted(exported.items())}
    # Of other weights another folder: a host that wakes late overwrites nothing of the one that has sealed meanwhile.
    folder = f"{EXPORTED}{digest(*digests.values())}"
    for name, data in exported.items():
        storage.write_bytes(f"{job.folder}/{folder}/{name}", data)
    last = [row["terms"] for row in read_metrics(job.folder) if row["step"] < step][-AVERAGED_STEPS:]
    return Checkpoint(
        id=f"{job.address.lineage}-{step}",
        step=step,
        steps=job.spec.steps,
        architecture=job.spec.architecture,
        objective=job.spec.objective,
        seed=job.seed,
        images_seen=step * job.spec.accumulate * order.size * job.spec.images_per_caption,
        images_lineage=job.images.lineage,
        shards=tuple(address.stem for address in job.images.shards()),
        files={f"{folder}/{name}": sha256 for name, sha256 in digests.items()},
        terms={name: sum(terms[name] for terms in last) / len(last) for name in last[-1]} if last else {},
    )
