"""The log of a training is read from its end, and what a stopped training left beyond its checkpoint is not progress."""

import json
import threading
from concurrent.futures import Future
from pathlib import Path

import pytest

from data_specs.ids import Lineage
from data_specs.shard import FileDigest, MadeBy
from data_specs.specs.encoder import EncoderSpec
from data_specs.stage import Stage
from tasks.bundles import Work
from tasks.encoder import train
from tasks.encoder.checkpoints import CheckpointManifest, checkpoints_folder, stem, steps_done
from tasks.encoder.metrics import END_BYTES, logging_metrics, metrics_url, newest_row
from tasks.events import Advanced
from tasks.storage import write_bytes


def line(step: int, **more: object) -> bytes:
    return json.dumps({"step": step, "loss": 0.5, "terms": {"contrast": 0.5}} | more).encode() + b"\n"


def test_the_newest_row_is_the_last_whole_one(tmp_path: Path) -> None:
    assert newest_row(str(tmp_path)) is None
    write_bytes(metrics_url(str(tmp_path)), b"")
    assert newest_row(str(tmp_path)) is None
    lines = [line(step) for step in range(1000)]
    assert sum(map(len, lines)) > 2 * END_BYTES
    write_bytes(metrics_url(str(tmp_path)), b"".join(lines) + line(1000)[:-9])
    row = newest_row(str(tmp_path))
    assert row is not None and row["step"] == 999 and row["terms"] == {"contrast": 0.5}


def test_progress_begins_at_the_checkpoint_and_does_not_count_what_lies_beyond(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(train, "POLL_SECONDS", 0.01)
    stage = Stage(name="encoder", lineage=Lineage("e"), folder=str(tmp_path), count=1, facts={})
    manifest = CheckpointManifest(step=2, file=FileDigest(bytes=0, sha256="0" * 64))
    write_bytes(f"{checkpoints_folder(stage.folder)}/{stem(2)}.json", manifest.model_dump_json().encode())
    write_bytes(metrics_url(stage.folder), b"".join(line(step) for step in range(7)))
    assert steps_done(stage.folder) == 2

    training: Future[None] = Future()
    events: list[Advanced] = []
    heard = threading.Semaphore(0)

    def listen(event: object) -> None:
        assert isinstance(event, Advanced)
        events.append(event)
        heard.release()

    def go_on() -> None:
        with logging_metrics(stage.folder, 2) as log:
            for step in (2, 3):
                log.add(json.loads(line(step, seconds=1.0)))
                heard.acquire(timeout=60)
        training.set_result(None)

    writer = threading.Thread(target=go_on)
    work = Work(stage, (0,), EncoderSpec(), train.EncoderInputs(stage), 0, MadeBy("a run"))
    done, left = steps_done(stage.folder), newest_row(stage.folder)
    writer.start()
    train._emit_progress(training, work, done, left, listen, lambda: None)  # type: ignore[arg-type]
    writer.join()
    assert events == [Advanced("a run", "encoder", 1, "loss 0.500")] * 2
