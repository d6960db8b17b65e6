"""Link to what the server has: the very artifact that a run shows, and flow runs that this server knows."""

from functools import cache
from typing import cast
from uuid import UUID

from prefect.artifacts import Artifact
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import Artifact as ArtifactResponse
from prefect.exceptions import ObjectNotFound

from flows.artifacts import keys
from flows.artifacts.lineage_page import Link, RunLink

ELSEWHERE = "made under another server"


def newest(run: str, stage: str, what: str) -> ArtifactResponse | None:
    """The artifact of a key that is the newest now."""
    return cast(ArtifactResponse | None, Artifact.get(keys.key(run, stage, what)))


def link_to(published: dict[str, str], of_stage: str) -> Link:
    """To what this stage run has published, by id; to others as they are now: a link does not move to a later run's artifact."""

    def link(run: str, stage: str, what: str, text: str) -> str:
        if stage == of_stage and what in published:
            return keys.artifact_link(published[what], text)
        found = newest(run, stage, what)
        return keys.artifact_link(str(found.id), text) if found else text

    return link


def known_runs() -> RunLink:
    """A flow run that another server knew has no page here, which is said in place of a dead link."""

    @cache
    def run_link(flow_run: str, text: str) -> str:
        try:
            with get_client(sync_client=True) as client:
                client.read_flow_run(UUID(flow_run))
        except (ObjectNotFound, ValueError):
            return ELSEWHERE
        return keys.run_link(flow_run, text)

    return run_link
