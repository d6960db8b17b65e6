"""A run is planned once, and what is edited while it is under way changes nothing of it."""

from pathlib import Path

import pytest

from flows.launch.run import run_request
from flows.runs import planning
from flows.runs.plan import read_plan
from flows.runs.request import Request
from flows.runs.status import status
from tasks.events import Event, Finished, Started

pytestmark = [pytest.mark.slow(30), pytest.mark.usefixtures("on_the_server")]


def test_a_list_that_is_edited_during_a_run_changes_nothing_of_it(tmp_path: Path, monkeypatch) -> None:
    names, root = tmp_path / "names.txt", str(tmp_path / "root")
    names.write_text("fox\nheron\ntram\n")
    settings = {
        "concepts": {"sources": [{"use": "file", "path": str(names)}]},
        "captions": {"engine": "fake", "total": 8, "per_shard": 4, "require_background": False},
        "images": {"engine": "fake"},
        "execution": {"workers": 1},
    }
    request = Request("tiny", "edited", root, until="captions", settings=settings)
    resolved: list[object] = []
    resolve = planning.resolve_stages
    monkeypatch.setattr(planning, "resolve_stages", lambda *given: resolved.append(given) or resolve(*given))
    events: list[Event] = []

    def edit_once_concepts_are_sealed(event: Event) -> None:
        events.append(event)
        if isinstance(event, Finished) and event.stage == "concepts":
            names.write_text("fox\nheron\ntram\notter\n")

    summary = run_request(request, [edit_once_concepts_are_sealed])
    assert len(resolved) == 1, "the request was resolved once, whatever stages it has"
    planned = read_plan(root, "edited").stages
    assert [(stage["stage"], stage["lineage"], stage["made"]) for stage in summary["stages"]] == [
        ("concepts", planned["concepts"].lineage, 1),
        ("captions", planned["captions"].lineage, 2),
    ]
    assert [event.stage for event in events if isinstance(event, Started)] == ["concepts", "captions"]
    assert {event.run for event in events if isinstance(event, Started)} == {"edited"}
    stale = {row.stage: row.stale for row in status(root, "edited")}
    assert any("sources" in field for field in stale["concepts"]), "status says what was edited since"

    again = run_request(request)
    assert [stage["made"] for stage in again["stages"]] == [1, 2], "the next run is planned with the new content"
