"""Keep a progress bar of one stage run on the server, updated every two seconds at most."""

import logging
from contextvars import copy_context
from threading import Event as Signal
from threading import Thread
from types import TracebackType
from typing import Self
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import ArtifactCreate, ArtifactUpdate

from flows.artifacts.keys import key
from tasks.events import Advanced, Event, Finished, Started

EVERY_SECONDS = 2.0
PATIENCE_SECONDS = 30.0
logger = logging.getLogger("synclr")


class ProgressArtifact:
    """A listener to events, used as a block. A thread talks to the server, so that a slow one never slows the stage."""

    def __init__(self, run: str, stage: str, flow_run: str) -> None:
        self._run, self._stage, self._flow_run = run, stage, flow_run
        self._unit, self._total, self._done = "", 0, 0
        self._ended = Signal()
        # Where the server is stands in a context variable, which a new thread does not see by itself.
        self._thread = Thread(target=copy_context().run, args=(self._keep_updating,), daemon=True)

    def __call__(self, event: Event) -> None:
        match event:
            case Started() if event.stage == self._stage and not self._thread.ident:
                self._unit, self._total, self._done = event.unit, event.total, event.found
                self._thread.start()
            case Advanced() if event.stage == self._stage:
                self._done += event.by
            case Finished() if event.stage == self._stage:
                self._done = self._total

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        if self._thread.ident:
            self._thread.join(PATIENCE_SECONDS)

    @property
    def percent(self) -> float:
        return round(100 * max(0, min(self._done, self._total)) / self._total, 1) if self._total else 100.0

    def _keep_updating(self) -> None:
        try:
            with get_client(sync_client=True) as client:
                # Read once: what happens while the server creates the artifact is news for the first update.
                shown = self.percent
                artifact = self._create(client, shown)
                while True:
                    ended = self._ended.wait(EVERY_SECONDS)
                    if (now := self.percent) != shown:
                        client.update_artifact(artifact, ArtifactUpdate(data=now))
                        shown = now
                    if ended:
                        return
        except Exception as error:
            # Whatever the server's trouble is, the stage goes on without its bar.
            logger.warning("%s: no progress on the server any more: %s", self._stage, error)

    def _create(self, client: SyncPrefectClient, percent: float) -> UUID:
        described = f"{self._stage} of {self._run}: {self._total:,} {self._unit}, {self._done:,} of them found"
        created = client.create_artifact(
            ArtifactCreate(
                type="progress",
                key=key(self._run, self._stage, "progress"),
                description=described,
                data=percent,
                flow_run_id=UUID(self._flow_run),
            )
        )
        return created.id
