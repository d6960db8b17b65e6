"""Train an encoder from sealed image shards: checkpoints on the way, and one sealed checkpoint record at the end.

Beside the shard lie `encoder/` (safetensors and config.json, ready to load), `metrics.jsonl` and `checkpoints/`.
"""

import hashlib
import json
import os
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING

from prefect import task
from prefect.cache_policies import NO_CACHE

from data_specs import checkpoint as checkpoint_record
from data_specs.checkpoint import Checkpoint
from data_specs.errors import ContractError, EngineError, SpecError
from data_specs.ids import seed_of
from data_specs.run import EncoderSpec
from data_specs.shard import ShardAddress, ShardManifest
from tasks import storage
from tasks.bundles import RETRIES, RETRY_DELAYS_SECONDS, engine_failed
from tasks.encoder import checkpoints
from tasks.encoder.metrics import Row, logging_metrics, newest_row, read_metrics
from tasks.engines import EngineProcess
from tasks.events import Advanced, Said, tell
from tasks.shards import make_shard

if TYPE_CHECKING:
    from models.encoder.training import StepReport, Training
    from tasks.encoder.loader import Batches

AVERAGED_STEPS = 50
"""The terms of a checkpoint record are means over its last steps: those of one batch say little."""
POLL_SECONDS = 1.0


def train_encoder(
    sources: Sequence[ShardAddress], address: ShardAddress, spec: EncoderSpec, *, seed: int, run: str = ""
) -> ShardManifest:
    """Go on from the newest valid checkpoint, or from the start. A sealed encoder is returned untouched.

    Two processes on one encoder: the second waits for the first. Raises SpecError if the loss diverges.
    """
    if spec.repeat:
        seed = seed_of("encoder", "repeat", seed, spec.repeat)
    return make_shard(address, checkpoint_record.CONTRACT, lambda: trained(sources, address, spec, seed), run=run)


def trained(
    sources: Sequence[ShardAddress], address: ShardAddress, spec: EncoderSpec, seed: int
) -> Iterator[Checkpoint]:
    from tasks.encoder.ranks import Job, learn_together

    job = Job(sources=tuple(sources), address=address, spec=spec, seed=seed)
    # Several hosts that train this encoder by torchrun read it.
    storage.write_bytes(f"{address.folder.rstrip('/')}/job.json", job.model_dump_json(indent=2).encode())
    if not ended(address, spec):
        if spec.ranks == 1:
            learn(sources, address, spec, seed)
        else:
            learn_together(job)
    yield record(sources, address, spec, seed)


def ended(address: ShardAddress, spec: EncoderSpec) -> bool:
    """The newest checkpoint is the last step's, or that of the hour at which training was to stop."""
    done = checkpoints.steps_done(address.folder)
    if done < spec.steps:
        if spec.max_hours is None:
            return False
        if hours([row for row in read_metrics(address.folder) if row["step"] < done]) < spec.max_hours:
            return False
    found = checkpoints.newest(address.folder)  # read whole only here: a damaged one is trained again
    return found is not None and found[0] == done


def learn(sources: Sequence[ShardAddress], address: ShardAddress, spec: EncoderSpec, seed: int) -> None:
    """All steps that are left, on this process or, in a process group, on this rank; the first rank writes.

    Afterwards the newest checkpoint is the last step's.
    """
    # torch is imported where training happens, not where flows are put together.
    from models.encoder.gather import rank, world_size
    from models.encoder.training import Training
    from tasks.encoder.loader import Batches
    from tasks.encoder.probe import Probe

    batches = Batches(sources, spec, seed, rank(), world_size())
    store, order = batches.opened()
    if order.size < spec.captions_per_step and not rank():
        tell(Said(f"encoder: a step sees all {order.size} captions that there are, not {spec.captions_per_step}"))
    if spec.warmup_steps > spec.steps and not rank():
        tell(
            Said(
                f"encoder: warmup_steps {spec.warmup_steps} are more than steps {spec.steps}: lr never reaches its peak"
            )
        )
    training = Training(spec, seed, len(store.concepts), device())
    _restore(training, address)
    probe = Probe(store) if spec.probe_every and not rank() else None
    with logging_metrics(address.folder, training.step) if not rank() else nullcontext() as log:
        for report, row in steps(training, batches, address.folder, spent=hours(log.rows) if log else 0.0):
            done = report.step + 1
            # Where ranks hold parts of the encoder all of them must ask for it, and the first alone gets it.
            if spec.probe_every and done % spec.probe_every == 0:
                backbone = training.exported()
                if probe and backbone:
                    row["neighbours_name_concept"] = probe.accuracy(backbone)
            if log:
                log.add(row)
            if done % spec.checkpoint_every == 0 or done == spec.steps or row["last"]:
                tensors = training.tensors()
                if log:
                    # The log first: rows beyond a checkpoint are dropped on resuming, rows before it would be lost for good.
                    log.publish()
                    checkpoints.save(address.folder, done, tensors, spec.keep_checkpoints)


def _restore(training: "Training", address: ShardAddress) -> None:
    """Raises ContractError where ranks found different checkpoints: they would train apart."""
    import torch

    from models.encoder.gather import over_ranks

    if found := checkpoints.newest(address.folder):
        step, tensors = found
        training.restore(tensors, step)
    steps = torch.tensor(float(training.step), device=training.device)
    if float(over_ranks(steps, "mean")) != training.step:
        raise ContractError(
            f"this rank found the checkpoint of step {training.step} in {address.folder}/checkpoints, others found another: "
            "the root must be one storage that all hosts share"
        )


def device() -> str:
    """The GPU of this rank, or the CPU."""
    import torch

    return f"cuda:{os.environ.get('LOCAL_RANK', 0)}" if torch.cuda.is_available() else "cpu"


def hours(rows: Sequence[Row]) -> float:
    return float(sum(row["seconds"] for row in rows) / 3600)


def steps(training: "Training", batches: "Batches", room: str, spent: float) -> "Iterator[tuple[StepReport, Row]]":
    """Every step that is left, with its line for the metrics log; `spent` are hours that earlier sittings took."""
    from models.encoder.gather import agreed, rank
    from tasks.encoder.loader import load

    spec = training.spec
    numbers = range(training.step * spec.accumulate, spec.steps * spec.accumulate)
    loaded = load(batches, numbers, spec.loader_workers)
    while training.step < spec.steps:
        started = time.monotonic()
        with _breakdowns_told(training.step, spec):
            parts = [next(loaded) for _ in range(spec.accumulate)]
            ready = time.monotonic()
            try:
                report = training.advance(parts)
            except SpecError as error:
                keys = batches.keys(range(training.step * spec.accumulate, (training.step + 1) * spec.accumulate))
                place = f"{room.rstrip('/')}/diverged.json"
                told = {"step": training.step, "error": str(error), "captions": keys}
                if not rank():
                    storage.write_bytes(place, json.dumps(told, indent=2).encode())
                raise SpecError(
                    f"{error}; its batch began with captions {', '.join(keys[:8])}, all in {place}"
                ) from error
        ended = time.monotonic()
        spent += (ended - started) / 3600
        # The first rank's clock decides for all: a rank that went on alone would wait for ever.
        last = spec.max_hours is not None and agreed(spent >= spec.max_hours)
        images = sum(len(part.images_I) for part in parts) * batches.world
        yield report, row_of(report, images, ended - started, ready - started) | {"last": last}
        if last:
            return


@contextmanager
def _breakdowns_told(step: int, spec: EncoderSpec) -> Iterator[None]:
    """Raises SpecError for a step that is too large, EngineError for what another process may get over."""
    import torch

    try:
        yield
    except torch.OutOfMemoryError as error:
        raise SpecError(
            f"step {step} of {spec.captions_per_step} captions x {spec.images_per_caption} pictures does not fit the GPU: "
            "lower encoder.captions_per_step and raise encoder.accumulate, or set encoder.precision=bf16, more "
            f"encoder.ranks or encoder.sharded=true ({str(error).splitlines()[0]})"
        ) from error
    except RuntimeError as error:  # a GPU's fault, a rank or a loader worker that died
        raise EngineError(f"training failed in step {step}: {error}") from error


def row_of(report: "StepReport", images: int, seconds: float, waited: float) -> Row:
    return {
        "step": report.step,
        "loss": report.loss,
        "terms": report.terms,
        "gradient": report.gradient,
        "lr": report.knobs.lr,
        "weight_decay": report.knobs.weight_decay,
        "momentum": report.knobs.momentum,
        "teacher_temperature": report.knobs.teacher_temperature,
        "images": images,
        "seconds": round(seconds, 4),
        "images_per_second": round(images / seconds, 2),
        "data_wait_share": round(waited / seconds, 5),
    }


def record(sources: Sequence[ShardAddress], address: ShardAddress, spec: EncoderSpec, seed: int) -> Checkpoint:
    """Export the newest checkpoint's encoder and say what it is: the same weights and metrics, the same record."""
    from models.encoder.exported import export
    from models.encoder.training import Training
    from tasks.encoder.loader import Batches

    found = checkpoints.newest(address.folder)
    if found is None:
        raise ContractError(f"{address.folder}/checkpoints holds no checkpoint that can be read; train again")
    step, tensors = found
    store, order = Batches(sources, spec, seed).opened()
    training = Training(spec, seed, len(store.concepts))
    training.restore(tensors, step)
    files = {
        f"encoder/{name}": data for name, data in export(training.objective.exported, training.objective.text).items()
    }
    for name, data in files.items():
        storage.write_bytes(f"{address.folder.rstrip('/')}/{name}", data)
    last = [row["terms"] for row in read_metrics(address.folder) if row["step"] < step][-AVERAGED_STEPS:]
    return Checkpoint(
        id=f"{address.lineage}-{step}",
        step=step,
        steps=spec.steps,
        architecture=spec.architecture,
        objective=spec.objective,
        seed=seed,
        images_seen=step * spec.accumulate * order.size * spec.images_per_caption,
        images_lineage=sources[0].lineage,
        shards=tuple(source.stem for source in sources),
        files={name: hashlib.sha256(data).hexdigest() for name, data in sorted(files.items())},
        terms={name: sum(terms[name] for terms in last) / len(last) for name in last[-1]} if last else {},
    )


@task(
    name="train the encoder",
    retries=RETRIES,
    retry_delay_seconds=RETRY_DELAYS_SECONDS,
    retry_condition_fn=engine_failed,
    cache_policy=NO_CACHE,
)
def train_in(
    engine: EngineProcess,
    sources: Sequence[ShardAddress],
    address: ShardAddress,
    spec: EncoderSpec,
    *,
    seed: int,
    run: str,
) -> ShardManifest:
    """Train in an engine's process, and meanwhile tell what its metrics log says. A retry goes on from a checkpoint."""
    pool = ThreadPoolExecutor(1, "training")
    try:
        # Read before the training is there to change it.
        done, left = checkpoints.steps_done(address.folder), newest_row(address.folder)
        training = pool.submit(engine.call, train_encoder, sources, address, spec, seed=seed, run=run)
        _tell_progress(training, address, done, left)
        return training.result()
    finally:
        pool.shutdown(wait=False)  # at Ctrl-C it may have hours to go: it ends when the room closes its engine


def _tell_progress(training: "Future[ShardManifest]", address: ShardAddress, told: int, left: Row | None) -> None:
    """What a stopped training `left` behind its newest checkpoint counts for nothing: those steps are done again."""
    while not training.done():
        wait([training], timeout=POLL_SECONDS)
        try:
            row = newest_row(address.folder)
        except OSError:  # a look at remote storage that fails ends no training
            continue
        if row and row != left and (done := row["step"] + 1) != told:
            tell(Advanced("encoder", done - told, f"loss {row['loss']:.3f}"))
            told = done
