"""Training steps enter; `metrics.jsonl` beside the encoder, a line a finished step, leaves, for reports and resuming."""

import json
import os
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from typing import IO, TYPE_CHECKING, Any

from tasks import storage

if TYPE_CHECKING:
    from tensorboardX import SummaryWriter

Row = dict[str, Any]
END_BYTES = 1 << 14
"""Longer than a row."""


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


def newest_row(room: str) -> Row | None:
    """The row of the last finished step. Only the end is read: the log of a long training is long."""
    try:
        with storage.open_read(url_of(room)) as stream:
            stream.seek(max(0, stream.seek(0, os.SEEK_END) - END_BYTES))
            lines = stream.read().splitlines()
    except FileNotFoundError:
        return None
    for line in reversed(lines):
        with suppress(ValueError):  # cut short: at the end by a kill, at the beginning by us
            row: Row = json.loads(line)
            return row
    return None


class MetricsLog:
    """Appends rows; locally each is in the file at once, on remote storage `publish` puts the whole file.

    `rows` are those of earlier sittings; on remote storage also the new ones.
    """

    def __init__(self, room: str, rows: list[Row], stream: IO[str] | None, board: "SummaryWriter | None") -> None:
        self._room, self._stream, self._board, self.rows = room, stream, board, rows

    def add(self, row: Row) -> None:
        if self._stream:
            self._stream.write(json.dumps(row) + "\n")
            self._stream.flush()
        else:
            self.rows.append(row)
        if self._board:
            for name, value in row.items():
                for part, number in value.items() if isinstance(value, dict) else [("", value)]:
                    self._board.add_scalar(f"{name}/{part}".rstrip("/"), number, row["step"])

    def publish(self) -> None:
        if self._stream is None:
            storage.write_bytes(url_of(self._room), _lines(self.rows))


@contextmanager
def logging_metrics(room: str, done: int) -> Iterator[MetricsLog]:
    """A log that goes on after `done` steps: rows of later steps, lost with a killed process, are dropped first.

    On local storage the same numbers go to `tensorboard/` beside it.
    """
    rows = [row for row in read_metrics(room) if row["step"] < done]
    storage.write_bytes(url_of(room), _lines(rows))
    if not storage.is_local(room):
        log = MetricsLog(room, rows, None, None)
        yield log
        log.publish()
        return
    # Imported where training happens: it takes a second.
    from tensorboardX import SummaryWriter

    board = SummaryWriter(str(storage.local_path(f"{room}/tensorboard")), purge_step=done)
    with closing(board), storage.local_path(url_of(room)).open("a", encoding="utf-8") as stream:
        yield MetricsLog(room, rows, stream, board)


def _lines(rows: list[Row]) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()
