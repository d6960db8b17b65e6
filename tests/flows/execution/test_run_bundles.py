"""How the shards of a room become task runs: few, in order, one in hand per engine, and none made twice."""

import threading
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from data_specs.errors import ContractError, EngineError, SpecError
from data_specs.run import CaptionsSpec, ConceptsSpec
from data_specs.shard import ShardAddress
from flows.execution.run_bundles import MOST_BUNDLES, bundles, hand_out, unclaimed_first
from tasks import storage
from tasks.captions.compose import compose_bundle
from tasks.concepts.ingest import ingest_table
from tasks.engines import EngineProcess


def addresses(count: int, folder: str = "x", room: str = "captions") -> list[ShardAddress]:
    return [ShardAddress(folder=folder, room=room, lineage="a", index=index) for index in range(count)]


@pytest.mark.parametrize(("shards", "workers"), [(1, 1), (7, 8), (99, 1), (100, 4), (101, 3), (2000, 1), (10_000, 64)])
def test_however_many_shards_a_room_has_they_are_few_task_runs_that_hold_each_once_and_in_order(shards, workers):
    made = bundles(addresses(shards), workers)
    assert len(made) == min(shards, MOST_BUNDLES)
    assert [address for bundle in made for address in bundle] == addresses(shards)
    assert max(map(len, made)) - min(map(len, made)) <= 1


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
            if bundle[0].index % 3 == 0:
                raise ContractError("planted")
            return len(bundle)

        futures = hand_out(bundles(addresses(12), 2), engines, submit)  # type: ignore[arg-type]
    assert len(futures) == 12 and max(most) == 2
    assert sum(isinstance(future.exception(), ContractError) for future in futures) == 4  # type: ignore[attr-defined]


@pytest.mark.parametrize(("error", "asked"), [(SpecError("wrong"), 1), (EngineError("down"), 2)])
def test_a_room_that_is_lost_hands_out_no_more(error, asked):
    with ThreadPoolExecutor(1) as pool:

        def submit(bundle: Any, engine: EngineProcess) -> "Future[int]":
            return pool.submit(work)

        def work() -> int:
            raise error

        futures = hand_out(bundles(addresses(12), 1), [EngineProcess(1)], submit)  # type: ignore[arg-type]
    assert len(futures) == asked


def test_a_second_run_of_a_lineage_takes_the_bundles_that_the_first_is_not_making(tmp_path):
    one, two, three = ([address] for address in addresses(3, str(tmp_path)))
    with storage.claim(str(tmp_path), one[0].stem, wait=False):
        assert list(unclaimed_first([one, two, three])) == [two, three, one]
    assert list(unclaimed_first([one, two, three])) == [one, two, three]


class InThisProcess(EngineProcess):
    """Fails as a dying engine does, at the calls that are named."""

    def __init__(self, *fails: int) -> None:
        super().__init__(1)
        self.calls, self._fails = 0, fails

    def call(self, function: Any, *args: Any, **kwargs: Any) -> Any:
        self.calls += 1
        if self.calls in self._fails:
            raise EngineError("the engine's process died")
        return function(*args, **kwargs)


def test_a_bundle_that_is_tried_again_makes_only_what_is_not_sealed(tmp_path):
    table = addresses(1, str(tmp_path / "concepts"), "concepts")[0]
    ingest_table(table, ConceptsSpec())
    bundle = addresses(5, str(tmp_path / "captions"))
    spec, engine = CaptionsSpec(engine="fake", per_shard=1), InThisProcess(4)
    with pytest.raises(EngineError):
        compose_bundle.fn(table, bundle, spec, engine, seed=0, run="r")
    before = {path: path.stat().st_mtime_ns for path in Path(tmp_path / "captions").glob("*.tar")}
    assert len(before) == 3
    assert compose_bundle.fn(table, bundle, spec, engine, seed=0, run="r") == 2
    assert engine.calls == 4 + 2
    assert {path: path.stat().st_mtime_ns for path in before} == before
