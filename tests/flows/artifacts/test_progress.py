"""The bar on the server ends where the stage ends, whenever the server takes its time."""

from types import SimpleNamespace
from typing import Any, Self

import pytest
from prefect import flow
from prefect.client.orchestration import get_client

from data_specs.ids import Lineage
from data_specs.stage import Stage
from flows.artifacts import redrawn as module
from flows.artifacts.progress import ProgressArtifact
from tasks.events import Advanced, Finished, ShardSealed, Started, Waiting

FLOW_RUN = "0199a0de-0000-7000-8000-000000000000"
CAPTIONS = Stage(name="captions", lineage=Lineage("a"), folder="x", count=4, facts={})


class SlowServer:
    """All of the stage's work happens while the artifact is being created."""

    def __init__(self) -> None:
        self.bar: ProgressArtifact
        self.shown: list[float] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        return None

    def read_artifacts(self, **_: Any) -> list[Any]:
        return []

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
    with ProgressArtifact("tiny", CAPTIONS, 0, FLOW_RUN) as bar:
        server.bar = bar
        bar(Started("tiny", "captions", "captions", 40, 0))
    assert server.shown == [0.0, 100.0]


def test_the_bars_words_move_with_the_shards_and_say_what_the_stage_waits_for(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module.RedrawnArtifact, "start", lambda _: None)
    bar = ProgressArtifact("tiny", CAPTIONS, 1, FLOW_RUN)
    bar(Started("tiny", "captions", "captions", 40, 10))
    assert bar.drawn() == (25.0, "captions of tiny: 1 of 4 shards sealed, 10 of 40 captions")
    bar(Waiting("tiny", "captions", "waits for the engine slot that run other holds for images since 07:30 UTC"))
    assert bar.drawn()[1].startswith(
        "captions of tiny: waits for the engine slot that run other holds for images since"
    )
    bar(Waiting("tiny", "captions", ""))
    bar(ShardSealed("tiny", "captions", 2))
    bar(ShardSealed("tiny", "captions", 2))  # its bundle was tried again
    bar(ShardSealed("tiny", "selection", 3))
    bar(Advanced("tiny", "captions", 10))
    percent, words = bar.drawn()
    assert percent == 50.0 and words.startswith("captions of tiny: 2 of 4 shards sealed, 20 of 40 captions, ")


@pytest.mark.slow(20)
def test_a_run_that_is_tried_again_goes_on_with_the_artifact_that_it_has(on_the_server: None):
    with get_client(sync_client=True) as client:
        runs = [client.create_flow_run(flow(lambda: None, name="synclr")).id for _ in range(2)]
        for run, words in ((runs[0], "first"), (runs[0], "again"), (runs[1], "another run")):
            drawn = module.RedrawnArtifact(
                "markdown", "a-run-summary", str(run), lambda words=words: (words, words), "it"
            )
            drawn.start()
            drawn.stop()
        shown = {
            artifact.flow_run_id: artifact.data for artifact in client.read_artifacts() if artifact.flow_run_id in runs
        }
        assert shown == {runs[0]: "again", runs[1]: "another run"}
        assert len([artifact for artifact in client.read_artifacts() if artifact.flow_run_id in runs]) == 2
