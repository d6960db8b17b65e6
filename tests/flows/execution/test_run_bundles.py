"""How the shards of a stage become task runs: few, in order, one in hand per engine, and none made twice."""

import threading
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from data_specs.errors import ContractError, EngineError, SpecError
from data_specs.ids import Lineage
from data_specs.shard import MadeBy
from data_specs.stage import Stage
from flows.execution.inputs import caption_inputs, concept_entries
from flows.execution.run_bundles import MOST_BUNDLES, Bundle, bundle_name, hand_out, split, unclaimed_first
from flows.runs.planning import resolve_plan
from flows.runs.request import Request
from tasks import storage
from tasks.bundles import Work
from tasks.captions.compose import compose_bundle
from tasks.concepts.ingest import ingest_table
from tasks.engines import EngineProcess
from tasks.events import Advanced, Emit, Event, ShardSealed, ignore
from tasks.shards import missing


def work_on(count: int, folder: str = "x") -> Bundle:
    stage = Stage(name="captions", lineage=Lineage("a"), folder=folder, count=count, facts={})
    return Work(stage, tuple(range(count)), None, None, 0)


@pytest.mark.parametrize(("shards", "workers"), [(1, 1), (7, 8), (99, 1), (100, 4), (101, 3), (2000, 1), (10_000, 64)])
def test_however_many_shards_a_stage_has_they_are_few_task_runs_that_hold_each_once_and_in_order(shards, workers):
    made = split(work_on(shards), workers)
    assert len(made) == min(shards, MOST_BUNDLES)
    assert [index for bundle in made for index in bundle.indices] == list(range(shards))
    sizes = [len(bundle.indices) for bundle in made]
    assert max(sizes) - min(sizes) <= 1


@pytest.mark.parametrize(
    ("indices", "name"),
    [
        ((4, 5, 6, 7), "captions 000004-000007"),
        ((4,), "captions 000004"),
        ((1, 2, 9), "captions 000001-000002, 000009"),
        ((1, 3, 5, 7, 9), "captions 000001, 000003, 000005 and more, 5 shards"),
    ],
)
def test_a_task_run_is_named_after_its_shards(indices, name):
    assert bundle_name(replace(work_on(10), indices=indices)) == name


def test_each_engine_has_one_bundle_in_hand_and_a_failed_bundle_gives_its_engine_back():
    engines = [EngineProcess(1), EngineProcess(1)]
    busy: list[EngineProcess] = []
    most: list[int] = []
    with ThreadPoolExecutor(16) as pool:

        def submit(bundle: Any, engine: EngineProcess) -> "Future[int]":
            assert engine not in busy, "an engine was given two bundles at once"
            busy.append(engine)
            most.append(len(busy))
            return pool.submit(work, bundle, engine)

        def work(bundle: Any, engine: EngineProcess) -> int:
            threading.Event().wait(0.01)
            busy.remove(engine)
            if bundle.indices[0] % 3 == 0:
                raise ContractError("planted")
            return len(bundle.indices)

        futures = hand_out(split(work_on(12), 2), engines, submit)  # type: ignore[arg-type]
    assert len(futures) == 12 and max(most) == 2
    assert sum(isinstance(future.exception(), ContractError) for future in futures) == 4  # type: ignore[attr-defined]


@pytest.mark.parametrize(("error", "asked"), [(SpecError("wrong"), 1), (EngineError("down"), 2)])
def test_a_stage_that_is_lost_hands_out_no_more(error, asked):
    with ThreadPoolExecutor(1) as pool:

        def submit(bundle: Any, engine: EngineProcess) -> "Future[int]":
            return pool.submit(work)

        def work() -> int:
            raise error

        futures = hand_out(split(work_on(12), 1), [EngineProcess(1)], submit)  # type: ignore[arg-type]
    assert len(futures) == asked


def test_a_second_run_of_a_lineage_takes_the_bundles_that_the_first_is_not_making(tmp_path):
    one, two, three = split(work_on(3, str(tmp_path)), 1)
    with storage.claim(str(tmp_path), one.shards[0].stem, wait=False):
        assert list(unclaimed_first([one, two, three])) == [two, three, one]
    assert list(unclaimed_first([one, two, three])) == [one, two, three]


class InThisProcess(EngineProcess):
    """Fails as a dying engine does, at the calls that are named."""

    def __init__(self, *fails: int) -> None:
        super().__init__(1)
        self.calls, self._fails = 0, fails

    def call(self, function: Any, *args: Any, emit: Emit = ignore) -> Any:
        self.calls += 1
        if self.calls in self._fails:
            raise EngineError("the engine's process died")
        return function(*args, emit=emit)


def test_a_bundle_that_is_tried_again_makes_only_what_is_not_sealed(tmp_path):
    settings = {"captions": {"engine": "fake", "per_shard": 1, "total": 5}, "images": {"engine": "fake"}}
    plan = resolve_plan(Request("tiny", root=str(tmp_path), settings=settings))
    table = plan.stages["concepts"].table
    ingest_table(table, concept_entries(plan), [], plan.spec.concepts)
    stage, engine = plan.stages["captions"], InThisProcess(4)
    work = Work(stage, tuple(range(5)), plan.spec.captions, caption_inputs(plan), 0)
    with pytest.raises(EngineError):
        compose_bundle(work, engine, ignore)
    before = {path: path.stat().st_mtime_ns for path in Path(stage.folder).glob("*.tar")}
    assert len(before) == 3
    assert compose_bundle(work, engine, ignore) == 2
    assert engine.calls == 4 + 2
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_a_model_that_is_not_the_planned_one_makes_nothing(tmp_path):
    settings = {"captions": {"engine": "fake", "per_shard": 1, "total": 1}, "images": {"engine": "fake"}}
    plan = resolve_plan(Request("tiny", root=str(tmp_path), settings=settings))
    ingest_table(plan.stages["concepts"].table, concept_entries(plan), [], plan.spec.concepts)
    facts = plan.stages["captions"].facts | {"model": ["fake", "another"]}
    stage = plan.stages["captions"].model_copy(update={"facts": facts})
    work = Work(stage, (0,), plan.spec.captions, caption_inputs(plan), 0)
    with pytest.raises(SpecError, match="the model fake is .* here and was another when the run was planned"):
        compose_bundle(work, InThisProcess(), ignore)
    assert missing(stage) == [0]


@pytest.mark.slow(10)
def test_events_name_their_run_and_reach_the_listener_that_was_handed_over(tmp_path, engine):
    settings = {"captions": {"engine": "fake", "per_shard": 2, "total": 2}, "images": {"engine": "fake"}}
    plan = resolve_plan(Request("tiny", "mine", str(tmp_path), settings=settings))
    ingest_table(plan.stages["concepts"].table, concept_entries(plan), [], plan.spec.concepts)
    inputs = caption_inputs(plan)
    work = Work(plan.stages["captions"], (0,), plan.spec.captions, inputs, 0, MadeBy("mine"))
    events: list[Event] = []
    compose_bundle(work, engine, events.append)
    assert events == [ShardSealed("mine", "captions", 0), Advanced("mine", "captions", 2)]
