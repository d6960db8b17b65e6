"""Training steps enter; `metrics.jsonl` beside the encoder, a line a finished step, leaves, for reports and resuming."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from tasks import storage

Row = dict[str, Any]


def url_of(room: str) -> str:
    return f"{room.rstrip('/')}/metrics.jsonl"


def read_metrics(room: str) -> list[Row]:
    """Rows in the order of steps; a line cut short by a kill is left out."""
    rows = []
    for line in (storage.read_bytes(url_of(room)) or b"").splitlines():
        try:
            rows.append(json.loads(line))
        except ValueError:
            break
    return rows


class MetricsLog:
    """Appends rows; locally each is in the file at once, on remote storage `publish` puts the whole file."""

    def __init__(self, room: str, stream: IO[str] | None, rows: list[Row]) -> None:
        self._room, self._stream, self.rows = room, stream, rows

    def add(self, row: Row) -> None:
        self.rows.append(row)
        if self._stream:
            self._stream.write(json.dumps(row) + "\n")
            self._stream.flush()

    def publish(self) -> None:
        if self._stream is None:
            storage.write_bytes(url_of(self._room), _lines(self.rows))


@contextmanager
def logging_metrics(room: str, done: int) -> Iterator[MetricsLog]:
    """A log that goes on after `done` steps: rows of later steps, lost with a killed process, are dropped first."""
    rows = [row for row in read_metrics(room) if row["step"] < done]
    storage.write_bytes(url_of(room), _lines(rows))
    if storage.is_local(room):
        path: Path = storage.local_path(url_of(room))
        with path.open("a", encoding="utf-8") as stream:
            yield MetricsLog(room, stream, rows)
    else:
        log = MetricsLog(room, None, rows)
        yield log
        log.publish()


def _lines(rows: list[Row]) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()
