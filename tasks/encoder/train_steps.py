"""The training loop of one process, or of one rank: restore the newest checkpoint, do the steps that are left, log and save."""

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import torch

from data_specs.errors import ContractError, EngineError, SpecError
from data_specs.specs.encoder import EncoderSpec
from models.encoder.gather import decided_by_first_rank, over_ranks, rank, world_size
from models.encoder.training import EncoderStepReport, EncoderTraining
from tasks import storage
from tasks.encoder import checkpoints
from tasks.encoder.loader import StepBatches, load
from tasks.encoder.metrics import MetricsRow, hours_trained, logging_metrics
from tasks.encoder.probe import Probe
from tasks.encoder.training_job import TrainingJob


def train(job: TrainingJob) -> None:
    """Do all steps that are left, in this process or, in a process group, as this rank; the first rank writes.

    Afterwards the newest checkpoint is that of the last step, or of the step at which `max_hours` were used up.
    Raises SpecError if the loss diverges or a step does not fit the GPU, EngineError for what another process may get over.
    """
    spec, first = job.spec, not rank()
    batches = StepBatches(job.images, spec, job.seed, rank(), world_size())
    store, _ = batches.open()
    training = EncoderTraining(spec, job.seed, len(store.concepts), _device())
    _restore(training, job.folder)
    probe = Probe(store) if spec.probe_every and first else None
    with logging_metrics(job.folder, training.step) if first else nullcontext() as log:
        for row in _steps(training, batches, job.folder, hours_before=hours_trained(log.rows) if log else 0.0):
            done = row["step"] + 1
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
                    checkpoints.save(job.folder, done, tensors, spec.keep_checkpoints)


def _restore(training: EncoderTraining, folder: str) -> None:
    """Raises ContractError where ranks found different checkpoints: they would train apart."""
    if found := checkpoints.newest(folder):
        step, tensors = found
        training.restore(tensors, step)
    steps = torch.tensor(float(training.step), device=training.device)
    if float(over_ranks(steps, "mean")) != training.step:
        raise ContractError(
            f"this rank found the checkpoint of step {training.step} in {folder}/checkpoints, others found another: "
            "the root must be one storage that all hosts share"
        )


def _device() -> str:
    """The GPU of this rank, or the CPU."""
    return f"cuda:{os.environ.get('LOCAL_RANK', 0)}" if torch.cuda.is_available() else "cpu"


def _steps(training: EncoderTraining, batches: StepBatches, folder: str, hours_before: float) -> Iterator[MetricsRow]:
    """Do the steps that are left, and yield a row for the metrics log after each; `hours_before` are of earlier processes."""
    spec, hours = training.spec, hours_before
    numbers = range(training.step * spec.accumulate, spec.steps * spec.accumulate)
    loaded = load(batches, numbers, spec.loader_workers)
    while training.step < spec.steps:
        started = time.monotonic()
        with _translated_errors(training.step, spec):
            parts = [next(loaded) for _ in range(spec.accumulate)]
            ready = time.monotonic()
            try:
                report = training.advance(parts)
            except SpecError as error:
                ids = batches.caption_ids(range(training.step * spec.accumulate, (training.step + 1) * spec.accumulate))
                url = f"{folder}/diverged.json"
                described = {"step": training.step, "error": str(error), "captions": ids}
                if not rank():
                    storage.write_bytes(url, json.dumps(described, indent=2).encode())
                raise SpecError(f"{error}; its batch began with captions {', '.join(ids[:8])}, all in {url}") from error
        ended = time.monotonic()
        hours += (ended - started) / 3600
        # The first rank's clock decides for all: a rank that went on alone would wait for ever.
        last = spec.max_hours is not None and decided_by_first_rank(hours >= spec.max_hours)
        images = sum(len(part.images_I) for part in parts) * batches.world
        yield _metrics_row(report, images, ended - started, ready - started) | {"last": last}
        if last:
            return


@contextmanager
def _translated_errors(step: int, spec: EncoderSpec) -> Iterator[None]:
    """Turns errors of torch into SpecError for a step that is too large, EngineError for what another process may get over."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise SpecError(
            f"step {step} of {spec.captions_per_step} captions x {spec.images_per_caption} images does not fit the GPU: "
            "lower encoder.captions_per_step and raise encoder.accumulate, or set encoder.precision=bf16, more "
            f"encoder.ranks or encoder.sharded=true ({str(error).splitlines()[0]})"
        ) from error
    except RuntimeError as error:  # a GPU's fault, a rank or a loader worker that died
        raise EngineError(f"training failed in step {step}: {error}") from error


def _metrics_row(report: EncoderStepReport, images: int, seconds: float, waited: float) -> MetricsRow:
    """`waited` are the seconds in which the step waited for its images."""
    return {
        "step": report.step,
        "loss": report.loss,
        "terms": report.terms,
        "gradient": report.gradient,
        "lr": report.schedule.lr,
        "weight_decay": report.schedule.weight_decay,
        "momentum": report.schedule.momentum,
        "teacher_temperature": report.schedule.teacher_temperature,
        "images": images,
        "seconds": round(seconds, 4),
        "images_per_second": round(images / seconds, 2),
        "data_wait_share": round(waited / seconds, 5),
    }
