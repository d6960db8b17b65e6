"""One run from the command line: check everything, walk what is missing, write the report, sum up."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from data_specs.run import ROOMS, Run
from flows import prefect_environment
from flows.addresses import Room, rooms
from flows.display import shown
from flows.prefect_server import running
from flows.run_folder import folder, log_folder, point, read_pointers, summarise, write_recipe
from flows.status import stale_fields
from tasks import storage
from tasks.concepts.ingest import ingest
from tasks.scores.summary import headline
from tasks.shards import sealed


def walk(run: Run, source: dict[str, Any], until: str, *, quiet: bool) -> dict[str, Any]:
    """Raises SpecError before any work if the request is wrong; afterwards what the rooms raise."""
    wanted = preflight(run)
    write_recipe(run, source)
    pointers = read_pointers(run)
    stale = {name: stale_fields(room, pointers.get(name)) for name, room in wanted.items()}
    walked = [wanted[name] for name in ROOMS[: ROOMS.index(until) + 1]]
    missing = {room.name: sum(sealed(address) is None for address in room.shards) for room in walked}
    for place in (folder(run), *(room.folder for room in walked)):
        storage.sweep(place)
    if any(missing.values()):
        _log_to_file(run)
        with shown(quiet), _prefect(run):
            from flows.synclr import synclr

            synclr(run, until)
    else:
        for room in walked:
            point(run, summarise(room, made=0), seconds=0.0)
    return {
        "run": run.name,
        "rooms": [summarise(room, missing[room.name]).model_dump() | {"stale": stale[room.name]} for room in walked],
        "scores": headline(wanted["scores"].table) if until == ROOMS[-1] else [],
        "report": _report(run, anew=any(missing.values()) or any(stale.values())),
    }


def preflight(run: Run) -> dict[str, Room]:
    """Everything that can be refused is refused here: the root, the lists of names, the prompts, the models."""
    storage.require_writable(run.root)
    ingest(run.spec.concepts)
    return rooms(run.spec, run.root)


@contextmanager
def _prefect(run: Run) -> Iterator[None]:
    """The server that the user has configured (PREFECT_API_URL or a profile), else one for the time of the walk."""
    prefect_environment.prepare()
    from prefect.settings import PREFECT_API_URL, temporary_settings

    if PREFECT_API_URL.value():
        yield
        return
    with running(log=log_folder(run) / "prefect.log") as address:
        logging.getLogger("synclr").info("Prefect UI for the time of this walk: %s", address)
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
