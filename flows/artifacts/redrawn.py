"""Keep one artifact on the server that is drawn again in place, every two seconds at most, while something is under way."""

import logging
from collections.abc import Callable
from contextvars import copy_context
from threading import Event as Signal
from threading import Thread
from typing import Any
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import ArtifactCreate, ArtifactUpdate
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterFlowRunId, ArtifactFilterKey

EVERY_SECONDS = 2.0
PATIENCE_SECONDS = 30.0
Drawing = tuple[Any, str]
"""An artifact's data and its description."""
logger = logging.getLogger("synclr")


class RedrawnArtifact:
    """A thread draws it and talks to the server, so that a slow one never slows the run. `what` names it in a warning."""

    def __init__(self, kind: str, key: str, flow_run: str, draw: Callable[[], Drawing], what: str) -> None:
        self._kind, self._key, self._flow_run, self._draw, self._what = kind, key, UUID(flow_run), draw, what
        self._ended = Signal()
        # Where the server is stands in a context variable, which a new thread does not see by itself.
        self._thread = Thread(target=copy_context().run, args=(self._keep_drawing,), daemon=True)

    @property
    def started(self) -> bool:
        return self._thread.ident is not None

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Draw it for the last time, and wait for that."""
        self._ended.set()
        if self.started:
            self._thread.join(PATIENCE_SECONDS)

    def _keep_drawing(self) -> None:
        try:
            with get_client(sync_client=True) as client:
                # Drawn once: what happens while the server creates the artifact is news for the first update.
                data, described = shown = self._draw()
                artifact = self._of_this_run(client)
                if artifact is None:
                    made = ArtifactCreate(
                        type=self._kind, key=self._key, description=described, data=data, flow_run_id=self._flow_run
                    )
                    artifact = client.create_artifact(made).id
                else:
                    client.update_artifact(artifact, ArtifactUpdate(data=data, description=described))
                while True:
                    ended = self._ended.wait(EVERY_SECONDS)
                    if (now := self._draw()) != shown:
                        client.update_artifact(artifact, ArtifactUpdate(data=now[0], description=now[1]))
                        shown = now
                    if ended:
                        return
        except Exception as error:
            # Whatever the server's trouble is, the run goes on without it.
            logger.warning("%s on the server any more: %s", self._what, error)

    def _of_this_run(self, client: SyncPrefectClient) -> UUID | None:
        """What the same flow run drew before it was tried again: a run has one artifact of a key."""
        mine = ArtifactFilterFlowRunId(any_=[self._flow_run])
        wanted = ArtifactFilter(key=ArtifactFilterKey(any_=[self._key]), flow_run_id=mine)
        found = client.read_artifacts(artifact_filter=wanted)
        return found[0].id if found else None
