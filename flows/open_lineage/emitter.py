"""Emit OpenLineage events of one stage run: START, RUNNING where it waits, then COMPLETE, FAIL or ABORT.

A receiver in trouble never fails a stage.
"""

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

from data_specs.errors import StoppedError
from data_specs.stage import BACKGROUNDS, SealedStage, Stage
from flows.inspect.stage_events import EVENTS, EVENTS_OF_SLICE
from flows.open_lineage import datasets
from flows.runs.disk import bytes_on_disk
from flows.runs.plan import RunPlan
from tasks import storage
from tasks.events import Emit, Notice

NAMESPACE = "synclr"
PRODUCER = f"urn:synclr-pipeline:{metadata.version('synclr-pipeline')}"
set_producer(PRODUCER)  # of the facets too, which would name the client instead
CONFIGURED = ("OPENLINEAGE_URL", "OPENLINEAGE_CONFIG", "OPENLINEAGE_DISABLED", "OPENLINEAGE__TRANSPORT")
"""Variables of the official client that say where events go."""


@attr.define
class StageRunFacet(RunFacet):
    """The recipe's part in a stage: its lineage, what that is the digest of, and which of its fields made the stage stale.

    `waitsFor` says what keeps it from its work, empty if nothing does.

    Its `_schemaURL` is that of any run facet, which is what the specification lets a facet without a published schema be.
    """

    stage: str
    lineage: str
    recipe: dict[str, Any]
    stale: list[str]
    shards: int
    made: int
    reused: int
    waitsFor: str  # noqa: N815 - OpenLineage's way of writing
    flowRun: str  # noqa: N815 - OpenLineage's way of writing


class Emitter:
    """Emits the events of one stage run. A receiver that fails is named in one notice, and the stage goes on."""

    def __init__(
        self,
        plan: RunPlan,
        stage: Stage,
        reads: Stage | None,
        flow_run_id: str | None,
        stale: Iterable[str],
        emit: Emit,
    ) -> None:
        """`reads` is the stage before; `stale` the fields in which the run's last result differed; `emit` gets the notice."""
        self._plan, self._stage, self._reads = plan, stage, reads
        self._flow_run, self._stale, self._notify = flow_run_id or "", list(stale), emit
        self._silent = self._ended = False
        self._client: OpenLineageClient | None = None
        self._facets: dict[str, Any] = {}
        self._id = self._waits = ""

    def started(self) -> None:
        self._send(RunState.START, self._stage)

    def waits(self, text: str) -> None:
        """What for, in words, whenever that changes; an empty text once the stage goes on."""
        self._waits = text
        self._send(RunState.RUNNING, self._stage)

    def completed(self, sealed: SealedStage) -> None:
        self._send(RunState.COMPLETE, sealed)

    def failed(self, error: BaseException) -> None:
        stopped = isinstance(error, StoppedError) or not isinstance(error, Exception)
        self._send(RunState.ABORT if stopped else RunState.FAIL, self._stage, error)

    def _send(self, state: RunState, stage: Stage, error: BaseException | None = None) -> None:
        if self._silent or self._ended:
            return
        try:
            if self._client is None:
                self._client, self._facets = _client(self._plan), self._run_facets()
            self._client.emit(self._event(state, stage, error))
            self._ended = state not in (RunState.START, RunState.RUNNING)
        except Exception as trouble:  # no receiver of lineage is worth a stage
            self._silent = True
            text = f"{stage.name}: its OpenLineage events do not arrive: {trouble}"
            self._notify(Notice(self._plan.name, stage.name, text))

    def _event(self, state: RunState, stage: Stage, error: BaseException | None) -> RunEvent:
        facets = self._facets | {"synclr_stage": self._stage_facet(stage)}
        if error is not None:
            message = str(error) or type(error).__name__
            facets["errorMessage"] = error_message_run.ErrorMessageRunFacet(message, programmingLanguage="PYTHON")
        inputs = datasets.sources_of(self._plan.spec.concepts) if stage.name in (BACKGROUNDS, "concepts") else []
        inputs += [datasets.input_of(self._reads)] if self._reads else []
        size, exact = bytes_on_disk(stage) if isinstance(stage, SealedStage) else (0, False)
        return RunEvent(
            eventType=state,
            eventTime=datetime.now(UTC).isoformat(),
            run=LineageRun(runId=self._id, facets=facets),
            job=Job(
                namespace=NAMESPACE,
                name=f"{self._plan.name}.{stage.name}",
                facets={"jobType": job_type_job.JobTypeJobFacet("BATCH", "SYNCLR", "STAGE")},
            ),
            inputs=inputs,
            outputs=[datasets.output_of(stage, size if exact else None)],
            producer=PRODUCER,
        )

    def _stage_facet(self, stage: Stage) -> StageRunFacet:
        made = stage.made if isinstance(stage, SealedStage) else 0
        return StageRunFacet(
            stage=stage.name,
            lineage=stage.lineage,
            recipe=stage.facts,
            stale=self._stale,
            shards=stage.count,
            made=made,
            reused=stage.count - made if isinstance(stage, SealedStage) else 0,
            waitsFor=self._waits,
            flowRun=self._flow_run,
        )

    def _run_facets(self) -> dict[str, Any]:
        """What every event of the stage run shares; its id follows from the flow run and from how often that was tried."""
        engine = processing_engine_run.ProcessingEngineRunFacet(
            version=metadata.version("prefect"),
            name="Prefect",
            openlineageAdapterVersion=metadata.version("openlineage-python"),
        )
        facets: dict[str, Any] = {"processing_engine": engine}
        if not self._flow_run:
            moment = datetime.now(UTC).isoformat()
            self._id = str(uuid5(UUID(int=0), f"{self._stage.folder} {self._plan.name} {moment}"))
            return facets
        self._id = str(uuid5(UUID(self._flow_run), f"{self._stage.name} {flow_run.run_count}"))
        if parent := flow_run.parent_flow_run_id:
            facets["parent"] = parent_run.ParentRunFacet(
                run=parent_run.Run(runId=str(parent)),
                job=parent_run.Job(namespace=NAMESPACE, name=self._plan.name),
            )
        return facets


def _client(plan: RunPlan) -> OpenLineageClient:
    """The user's own transport if one is configured, else a file beside the run."""
    if any(name.startswith(CONFIGURED) for name in os.environ):
        return OpenLineageClient()
    folder = storage.local_path(plan.folder) if storage.is_local(plan.root) else plan.log_folder
    # Each slice has a file of its own: what two hosts append to one may be lost.
    path = folder / (EVENTS if plan.slice is None else EVENTS_OF_SLICE.format(plan.slice.number))
    path.parent.mkdir(parents=True, exist_ok=True)
    return OpenLineageClient(transport=FileTransport(FileConfig(str(path), append=True)))
