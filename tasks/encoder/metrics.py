"""Write and read `metrics.jsonl` beside the encoder, one line per finished step, for reports and for resuming."""

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from typing import IO, TYPE_CHECKING, Any

from data_specs.json_text import parse_json
from tasks import storage

if TYPE_CHECKING:
    from tensorboardX import SummaryWriter

MetricsRow = dict[str, Any]
END_BYTES = 1 << 14
"""Longer than a row."""


def metrics_url(folder: str) -> str:
    """`folder` is that of the encoder, here and below."""
    return f"{folder.rstrip('/')}/metrics.jsonl"


def read_metrics(folder: str) -> list[MetricsRow]:
    """All rows in the order of steps; a line cut short by a kill is left out."""
    rows = []
    for line in (storage.read_bytes(metrics_url(folder)) or b"").splitlines():
        try:
            rows.append(parse_json(line))
        except ValueError:
            break
    return rows


def newest_row(folder: str) -> MetricsRow | None:
    """The row of the last finished step, or None. Only the end is read: the log of a long training is long."""
    try:
        with storage.open_read(metrics_url(folder)) as stream:
            stream.seek(max(0, stream.seek(0, os.SEEK_END) - END_BYTES))
            lines = stream.read().splitlines()
    except FileNotFoundError:
        return None
    for line in reversed(lines):
        with suppress(ValueError):  # cut short: at the end by a kill, at the beginning by us
            row: MetricsRow = parse_json(line)
            return row
    return None


def hours_trained(rows: Sequence[MetricsRow]) -> float:
    return float(sum(row["seconds"] for row in rows) / 3600)


class MetricsLog:
    """Appends rows; locally each is in the file at once, on remote storage `publish` writes the whole file.

    `rows` are those of earlier processes; on remote storage also the new ones.
    """

    def __init__(
        self, folder: str, rows: list[MetricsRow], stream: IO[str] | None, board: "SummaryWriter | None"
    ) -> None:
        self._folder, self._stream, self._board, self.rows = folder, stream, board, rows

    def add(self, row: MetricsRow) -> None:
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
            storage.write_bytes(metrics_url(self._folder), _lines(self.rows))


@contextmanager
def logging_metrics(folder: str, done: int) -> Iterator[MetricsLog]:
    """Open a log that goes on after `done` steps: rows of later steps, lost with a killed process, are dropped first.

    On local storage the same numbers go to `tensorboard/` beside it.
    """
    rows = [row for row in read_metrics(folder) if row["step"] < done]
    storage.write_bytes(metrics_url(folder), _lines(rows))
    if not storage.is_local(folder):
        log = MetricsLog(folder, rows, None, None)
        yield log
        log.publish()
        return
    # Imported where training happens: it takes a second.
    from tensorboardX import SummaryWriter

    board = SummaryWriter(str(storage.local_path(f"{folder}/tensorboard")), purge_step=done)
    with closing(board), storage.local_path(metrics_url(folder)).open("a", encoding="utf-8") as stream:
        yield MetricsLog(folder, rows, stream, board)


def _lines(rows: list[MetricsRow]) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()
