"""Train an encoder from sealed image shards: checkpoints on the way, and one sealed checkpoint record at the end.

Beside the shard lie `encoder/` (safetensors and config.json, ready to load), `metrics.jsonl` and `checkpoints/`.
"""

import hashlib
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING

from prefect import task
from prefect.cache_policies import NO_CACHE

from data_specs import checkpoint as checkpoint_record
from data_specs.checkpoint import Checkpoint
from data_specs.errors import SpecError
from data_specs.run import EncoderSpec
from data_specs.shard import ShardAddress, ShardManifest
from tasks import storage
from tasks.encoder import checkpoints
from tasks.encoder.batches import choose
from tasks.encoder.metrics import MetricsLog, Row, logging_metrics, read_metrics
from tasks.engines import EngineProcess
from tasks.progress import Advanced, tell
from tasks.retrying import RETRIES, RETRY_DELAYS_SECONDS, engine_failed
from tasks.shards import make_shard

if TYPE_CHECKING:
    from models.encoder.training import StepReport, Training
    from tasks.encoder.pictures import PictureStore

AVERAGED_STEPS = 50
"""The terms of a checkpoint record are means over its last steps: those of one batch say little."""
POLL_SECONDS = 1.0


def train_encoder(
    sources: Sequence[ShardAddress], address: ShardAddress, spec: EncoderSpec, *, seed: int, run: str = ""
) -> ShardManifest:
    """Go on from the newest valid checkpoint, or from the start. A sealed encoder is returned untouched.

    Two processes on one encoder: the second waits for the first. Raises SpecError if the loss diverges.
    """
    return make_shard(address, checkpoint_record.CONTRACT, lambda: trained(sources, address, spec, seed), run=run)


def trained(
    sources: Sequence[ShardAddress], address: ShardAddress, spec: EncoderSpec, seed: int
) -> Iterator[Checkpoint]:
    # torch is imported where training happens, not where flows are put together.
    from models.encoder.training import Training
    from tasks.encoder.pictures import read_pictures

    pictures = read_pictures(sources)
    training = Training(spec, seed, len(pictures.concepts))
    if found := checkpoints.newest(address.folder):
        step, tensors = found
        training.restore(tensors, step)
    with logging_metrics(address.folder, training.step) as log:
        for report, row in steps(training, pictures):
            log.add(row)
            done = report.step + 1
            if done % spec.checkpoint_every == 0 or done == spec.steps:
                checkpoints.save(address.folder, done, training.tensors(), spec.keep_checkpoints)
                log.publish()
    yield record(training, pictures, log, sources, address)


def steps(training: "Training", pictures: "PictureStore") -> "Iterator[tuple[StepReport, Row]]":
    """Every step that is left, with its line for the metrics log."""
    spec = training.spec
    while training.step < spec.steps:
        started = time.monotonic()
        choice = choose(len(pictures), pictures.copies, spec, training.seed, training.step)
        batch = pictures.pictures(choice)
        ready = time.monotonic()
        try:
            report = training.advance(batch)
        except SpecError as error:
            keys = ", ".join(pictures.keys[caption] for caption in choice.captions[:8])
            raise SpecError(f"{error}; its batch began with captions {keys}") from error
        ended = time.monotonic()
        yield report, row_of(report, len(batch.images_I), ended - started, ready - started)


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
        "images_per_second": round(images / seconds, 2),
        "data_wait_share": round(waited / seconds, 5),
    }


def record(
    training: "Training",
    pictures: "PictureStore",
    log: MetricsLog,
    sources: Sequence[ShardAddress],
    address: ShardAddress,
) -> Checkpoint:
    """Export the encoder and say what it is: the same weights and metrics, the same record."""
    from models.encoder.exported import export

    spec, objective = training.spec, training.objective
    files = {f"encoder/{name}": data for name, data in export(objective.exported, objective.text).items()}
    for name, data in files.items():
        storage.write_bytes(f"{address.folder.rstrip('/')}/{name}", data)
    last = log.rows[-AVERAGED_STEPS:]
    batch = min(spec.captions_per_step, len(pictures)) * spec.images_per_caption
    return Checkpoint(
        id=f"{address.lineage}-{training.step}",
        step=training.step,
        steps=spec.steps,
        architecture=spec.architecture,
        objective=spec.objective,
        seed=training.seed,
        images_seen=training.step * batch,
        images_lineage=sources[0].lineage,
        shards=tuple(source.stem for source in sources),
        files={name: hashlib.sha256(data).hexdigest() for name, data in sorted(files.items())},
        terms={name: sum(row["terms"][name] for row in last) / len(last) for name in last[-1]["terms"]} if last else {},
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
    with ThreadPoolExecutor(1) as pool:
        training = pool.submit(engine.call, train_encoder, sources, address, spec, seed=seed, run=run)
        _tell_progress(training, address)
        return training.result()


def _tell_progress(training: "Future[ShardManifest]", address: ShardAddress) -> None:
    told = steps_done(address)
    while not training.done():
        wait([training], timeout=POLL_SECONDS)
        rows = read_metrics(address.folder)
        if len(rows) > told:
            tell(Advanced("encoder", len(rows) - told, f"loss {rows[-1]['loss']:.3f}"))
            told = len(rows)


def steps_done(address: ShardAddress) -> int:
    """Steps that the metrics log holds: what a progress bar starts from."""
    return len(read_metrics(address.folder))
