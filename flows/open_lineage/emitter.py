"""A visit's beginning and end enter; START, COMPLETE, FAIL or ABORT events leave, which nobody has to wait for or receive."""

import os
from collections.abc import Iterable
from datetime import UTC, datetime
from importlib import metadata
from typing import Any
from uuid import UUID, uuid5

import attr
from openlineage.client import OpenLineageClient
from openlineage.client.event_v2 import Job, RunEvent, RunState, set_producer
from openlineage.client.event_v2 import Run as LineageRun
from openlineage.client.facet_v2 import (
    RunFacet,
    error_message_run,
    job_type_job,
    parent_run,
    processing_engine_run,
)
from openlineage.client.transport.file import FileConfig, FileTransport
from prefect.runtime import flow_run

from data_specs.run import Run
from data_specs.shard import SealedRoom
from flows.open_lineage import datasets
from flows.report.sealed_stages import Walked, bytes_on_disk
from flows.runs.folder import folder, log_folder
from flows.runs.lineages import Home
from flows.runs.resolve import Room
from tasks import storage
from tasks.engines import StoppedError
from tasks.events import Said, tell

NAMESPACE = "synclr"
PRODUCER = f"urn:synclr-pipeline:{metadata.version('synclr-pipeline')}"
set_producer(PRODUCER)  # of the facets too, which would name the client instead
CONFIGURED = ("OPENLINEAGE_URL", "OPENLINEAGE_CONFIG", "OPENLINEAGE_DISABLED", "OPENLINEAGE__TRANSPORT")
"""Variables of the official client that say where events go."""


@attr.define
class RoomRunFacet(RunFacet):
    """The recipe's part in a room: its lineage, what that is the digest of, and which of its fields made the room stale.

    Its `_schemaURL` is that of any run facet, which is what the specification lets a facet without a published schema be.
    """

    room: str
    lineage: str
    recipe: dict[str, Any]
    stale: list[str]
    shards: int
    made: int
    takenOver: int  # noqa: N815 - OpenLineage's way of writing
    flowRun: str  # noqa: N815


class Emitter:
    """Tells one visit. A receiver that fails is named once, and the room goes on."""

    def __init__(self, run: Run, room: Room, reads: Room | None, flow_run_id: str | None, stale: Iterable[str]) -> None:
        self._run, self._room, self._reads = run, room, reads
        self._flow_run, self._stale = flow_run_id or "", list(stale)
        self._silent = self._ended = False
        self._client: OpenLineageClient | None = None
        self._about: dict[str, Any] = {}
        self._id = ""

    def started(self) -> None:
        self._tell(RunState.START)

    def completed(self, sealed: SealedRoom) -> None:
        self._tell(RunState.COMPLETE, sealed)

    def failed(self, error: BaseException) -> None:
        stopped = isinstance(error, StoppedError) or not isinstance(error, Exception)
        self._tell(RunState.ABORT if stopped else RunState.FAIL, error=error)

    def _tell(self, state: RunState, sealed: SealedRoom | None = None, error: BaseException | None = None) -> None:
        if self._silent or self._ended:
            return
        try:
            if self._client is None:
                self._client, self._about = _client(self._run), self._described()
            self._client.emit(self._event(state, sealed, error))
            self._ended = state is not RunState.START
        except Exception as trouble:  # no receiver of lineage is worth a room
            self._silent = True
            tell(Said(f"{self._room.name}: its OpenLineage events do not arrive: {trouble}"))

    def _event(self, state: RunState, sealed: SealedRoom | None, error: BaseException | None) -> RunEvent:
        run, room = self._run, self._room
        made, shards = (sealed.made, sealed.shards) if sealed else (0, 0)
        facets = self._about | {
            "synclr_room": RoomRunFacet(
                room=room.name,
                lineage=room.lineage,
                recipe=room.facts,
                stale=self._stale,
                shards=len(room.shards),
                made=made,
                takenOver=shards - made,
                flowRun=self._flow_run,
            )
        }
        if error is not None:
            said = str(error) or type(error).__name__
            facets["errorMessage"] = error_message_run.ErrorMessageRunFacet(said, programmingLanguage="PYTHON")
        inputs = datasets.sources(run.spec.concepts) if room.name in ("backgrounds", "concepts") else []
        inputs += [datasets.read(self._reads)] if self._reads else []
        return RunEvent(
            eventType=state,
            eventTime=datetime.now(UTC).isoformat(),
            run=LineageRun(runId=self._id, facets=facets),
            job=Job(
                namespace=NAMESPACE,
                name=f"{run.name}.{room.name}",
                facets={"jobType": job_type_job.JobTypeJobFacet("BATCH", "SYNCLR", "ROOM")},
            ),
            inputs=inputs,
            outputs=[datasets.written(room, sealed, _size(run, room, sealed) if sealed else None)],
            producer=PRODUCER,
        )

    def _described(self) -> dict[str, Any]:
        """What is the same for every event of the visit; its id follows from the flow run and from how often that was tried."""
        engine = processing_engine_run.ProcessingEngineRunFacet(
            version=metadata.version("prefect"),
            name="Prefect",
            openlineageAdapterVersion=metadata.version("openlineage-python"),
        )
        described: dict[str, Any] = {"processing_engine": engine}
        if not self._flow_run:
            moment = datetime.now(UTC).isoformat()
            self._id = str(uuid5(UUID(int=0), f"{self._room.folder} {self._run.name} {moment}"))
            return described
        self._id = str(uuid5(UUID(self._flow_run), f"{self._room.name} {flow_run.run_count}"))
        if parent := flow_run.parent_flow_run_id:
            described["parent"] = parent_run.ParentRunFacet(
                run=parent_run.Run(runId=str(parent)),
                job=parent_run.Job(namespace=NAMESPACE, name=self._run.name),
            )
        return described


def _client(run: Run) -> OpenLineageClient:
    """The user's own transport if one is configured, else a file beside the run."""
    if any(name.startswith(CONFIGURED) for name in os.environ):
        return OpenLineageClient()
    if storage.is_local(run.root):
        path = storage.local_path(folder(run)) / "openlineage.jsonl"
    else:
        path = log_folder(run) / "openlineage.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    return OpenLineageClient(transport=FileTransport(FileConfig(str(path), append=True)))


def _size(run: Run, room: Room, sealed: SealedRoom) -> int | None:
    home = Home(room.name, room.lineage, room.folder, room.facts, (run.name,))
    size, exact = bytes_on_disk(Walked(home, sealed, 0.0, 0.0))
    return size if exact else None
