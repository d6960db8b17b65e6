"""A request from the command line enters; what is missing is walked, and a summary leaves."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

from data_specs.run import ROOMS, Run
from flows.cli.progress_display import shown
from flows.runs.folder import folder, log_folder, point, read_pointers, summarise
from flows.runs.request import Request
from flows.runs.status import stale_fields
from flows.server.prefect_server import chosen, running
from tasks import storage
from tasks.events import Said, tell
from tasks.scores.summary import headline
from tasks.shards import missing


def walk(asked: Request, *, quiet: bool) -> dict[str, Any]:
    """Raises SpecError before any work if the request is wrong; afterwards what the rooms raise."""
    asked = asked.grown(asked_by=str(uuid4()))
    run = asked.resolved()
    wanted = asked.preflight(run)
    asked.begin(run, wanted)
    pointers = read_pointers(run)
    stale = {name: stale_fields(room, pointers.get(name)) for name, room in wanted.items()}
    walked = [wanted[name] for name in asked.walked]
    absent = {room.name: len(missing(room.shards)) for room in walked}
    if any(absent.values()):
        _log_to_file(run)
        with shown(quiet), _prefect(run):
            from flows.synclr import synclr

            synclr(**asked.parameters())
    else:  # nothing to do needs no Prefect, which takes 15 s to start
        inner = [room for name, room in wanted.items() if name not in ROOMS and not missing(room.shards)]
        for room in [*inner, *walked]:
            point(run, summarise(room, made=0), seconds=0.0)
    return {
        "run": run.name,
        "rooms": [summarise(room, absent[room.name]).model_dump() | {"stale": stale[room.name]} for room in walked],
        "scores": headline(wanted["scores"].shards) if asked.until == ROOMS[-1] else [],
        "report": _report(run, anew=not any(absent.values()) and any(stale.values())),
    }


@contextmanager
def _prefect(run: Run) -> Iterator[None]:
    """The server that the user has configured or that `synclr ui` runs, else one for the time of the walk."""
    url = chosen()
    from prefect.settings import PREFECT_API_URL, temporary_settings

    if url:
        with temporary_settings({PREFECT_API_URL: url}):
            yield
        return
    with running(log=log_folder(run) / "prefect.log", only_records=True) as address:
        tell(Said(f"Prefect UI for the time of this walk: {address}"))
        with temporary_settings({PREFECT_API_URL: f"{address}/api"}):
            try:
                yield
            finally:
                _drain()


def _drain() -> None:
    """What Prefect still has to send must reach the server before it ends."""
    from prefect.events.worker import EventsWorker
    from prefect.logging.handlers import APILogWorker

    EventsWorker.drain_all(timeout=10)
    APILogWorker.drain_all(timeout=10)


def _report(run: Run, *, anew: bool) -> str:
    """A walk that made something has written it."""
    url = f"{folder(run)}/report.html"
    if not anew and storage.read_bytes(url) is not None:
        return url
    from flows.report import write_report

    return write_report(run)


def _log_to_file(run: Run) -> None:
    """Warnings of the rooms (a shard that another process makes, a retry) stay readable after the bars are gone."""
    logs = log_folder(run)
    logs.mkdir(parents=True, exist_ok=True)
    handler = logging.FileHandler(logs / "run.log", encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logger = logging.getLogger("synclr")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
