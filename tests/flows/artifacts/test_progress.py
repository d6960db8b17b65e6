"""The bar on the server ends where the stage ends, whenever the server takes its time."""

from types import SimpleNamespace
from typing import Any, Self

import pytest

from flows.artifacts import progress as module
from flows.artifacts.progress import ProgressArtifact
from tasks.events import Advanced, Finished, Started

FLOW_RUN = "0199a0de-0000-7000-8000-000000000000"


class SlowServer:
    """All of the stage's work happens while the artifact is being created."""

    def __init__(self) -> None:
        self.bar: ProgressArtifact
        self.shown: list[float] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        return None

    def create_artifact(self, artifact: Any) -> SimpleNamespace:
        self.shown.append(artifact.data)
        self.bar(Advanced("tiny", "captions", 40))
        self.bar(Finished("tiny", "captions", 1.0))
        return SimpleNamespace(id="one")

    def update_artifact(self, artifact: str, change: Any) -> None:
        assert artifact == "one"
        self.shown.append(change.data)


def test_what_happens_while_the_artifact_is_created_is_shown(monkeypatch: pytest.MonkeyPatch):
    server = SlowServer()
    monkeypatch.setattr(module, "get_client", lambda **_: server)
    with ProgressArtifact("tiny", "captions", FLOW_RUN) as bar:
        server.bar = bar
        bar(Started("tiny", "captions", "captions", 40, 0))
    assert server.shown == [0.0, 100.0]
