"""Measure what running a number of shards costs in Prefect, beside a bare loop over the same shards.

A shard holds one caption, written by rule, and lies in memory where the machine can, so that nearly all that is measured is
orchestration: the run, the bundles, the engine's process and the seals are those of every stage. A real server is started
for it, with a database of its own unless PREFECT_SERVER_DATABASE_CONNECTION_URL names another.
"""

import argparse
import json
import os
import sqlite3
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import psutil

from benchmarks.captions_for_images import rule_captions
from data_specs.caption import CONTRACT
from data_specs.shard import ShardAddress
from data_specs.specs.captions import CaptionsSpec
from data_specs.stage import SealedStage
from flows.runs.plan import RunPlan, write_plan
from flows.server import settings as prefect_environment
from flows.server.prefect_server import running
from tasks.claimed_shards import missing_first
from tasks.engines import EngineProcess
from tasks.events import Advanced, Emit, ignore
from tasks.shards import make_shard, missing

SETTLED_SECONDS = 60
"""The server writes down task runs after the flow has ended; what has not come by so long without news is lost."""
IN_MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None
BARE_SHARDS = 2000
PAGE_SECONDS = 120
DATABASE = "PREFECT_SERVER_DATABASE_CONNECTION_URL"
BUNDLE = "captions 0"
"""How the names of bundles' task runs begin (`bundle_name`)."""


def measure(shards: int, most_bundles: int | None, page: bool, image: Path | None) -> dict[str, Any]:
    """`page`: time the run's page in a browser as well; `image`: and keep what it shows."""
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory(dir=IN_MEMORY) as data:
        home = Path(folder) / "prefect"
        home.mkdir()
        os.environ["PREFECT_HOME"] = str(home)
        os.environ.pop("PREFECT_API_URL", None)
        prefect_environment.prepare()
        with running(log=home / "server.log") as address:
            from prefect.settings import PREFECT_API_URL, temporary_settings

            with temporary_settings({PREFECT_API_URL: f"{address}/api"}):
                figures = _run_figures(Path(data), shards, most_bundles)
                _drain()
            flow_run = figures.pop("flow_run")
            if page or image:
                figures |= _page_figures(address, flow_run, image)
        log = (home / "server.log").read_text(encoding="utf-8", errors="replace")
        return figures | {"dropped_messages": log.count("queue is full"), "locked": log.count("database is locked")}


def _drain() -> None:
    """Let the last log lines reach the server before it ends."""
    from prefect.logging.handlers import APILogWorker

    APILogWorker.drain_all(timeout=10)


def _run_figures(folder: Path, shards: int, most_bundles: int | None) -> dict[str, Any]:
    from flows.execution import run_bundles
    from tasks.bundles import Work

    fill_stage = _flow()
    run_bundles.MOST_BUNDLES = most_bundles or run_bundles.MOST_BUNDLES
    plan = _plan(folder / "run", shards)
    # Twice, since the first imports much. What the second takes is part of every run, whatever its size.
    fixed = [_timed(partial(fill_stage, _plan(folder / name, 1))) for name in ("cold", "warm")][-1]
    load, halves = os.getloadavg()[0], _bare(shards, folder / "bare")
    before = _database_bytes()
    bare = next(halves)
    with _memory() as memory:
        started = time.time()
        wall = _timed(partial(fill_stage, plan))
        work = Work(plan.stages["captions"], tuple(range(shards)), None, None, 0)
        made = len(run_bundles.split(work, plan.spec.execution.workers))
        flow_run = _newest_flow_run()
        recorded, after = _settle(flow_run, made)
    bare = (bare + next(halves)) / 2
    grown = _database_bytes() - before
    again = _timed(partial(fill_stage, plan))
    return {
        "shards": shards,
        "task_runs_made": made,
        "task_runs_recorded": recorded,
        "recorded_after_s": round(after, 1) if recorded == made else None,
        "bare_ms": round(bare, 2),
        "overhead_ms": round(1000 * wall / shards - bare, 2),
        "fixed_s": round(fixed, 1),
        "wall_s": round(wall, 1),
        "server_mb": [round(size / 2**20) for size in memory],
        "database_kb": round(grown / 1024),
        "database_kb_per_task_run": round(grown / 1024 / made, 1),
        "again_s": round(again, 2),
        "again_task_runs": _task_runs(_newest_flow_run()),
        "load": [round(load, 1), round(os.getloadavg()[0], 1)],
        "flow_run": flow_run,
        "seconds": round(time.time() - started, 1),
    } | _scan_figures(plan)


def fill(address: ShardAddress, *, emit: Emit = ignore) -> int:
    """Make one shard; in an engine's process, or in the bare loop."""
    return make_shard(address, CONTRACT, lambda: rule_captions(1), emit=emit).accepted


def _flow() -> Callable[[RunPlan], SealedStage]:
    """A stage flow like every other, whose engine does nothing. Prefect is imported once its settings stand."""
    from prefect import flow

    from flows.execution.run_bundles import run_bundles
    from flows.execution.stage_run import StageRun
    from tasks.bundles import Work

    def fill_bundle(work: Work[CaptionsSpec, None], engine: EngineProcess, emit: Emit) -> int:
        total = 0
        for address in missing_first(work.shards, work.made_by, emit):
            total += engine.call(fill, address, emit=emit)
            emit(Advanced(work.made_by.run, work.stage.name, 1))
        return total

    @flow(name="captions", flow_run_name="captions of {plan.name}")
    def fill_stage(plan: RunPlan) -> SealedStage:
        with StageRun(plan, "captions") as stage_run:
            return run_bundles(stage_run, fill_bundle, plan.spec.captions, lambda _: None, unit="captions", per_shard=1)

    return fill_stage


def _plan(root: Path, shards: int) -> RunPlan:
    """The stored plan of a run whose captions stage has that many shards."""
    from flows.runs.planning import resolve_plan
    from flows.runs.request import Request

    captions = {"engine": "fake", "total": shards, "per_shard": 1}
    settings = {"captions": captions, "images": {"engine": "fake"}, "execution": {"workers": 1}}
    plan = resolve_plan(Request("tiny", "trivial", str(root), settings=settings))
    write_plan(plan)
    return plan


def _bare(shards: int, root: Path) -> Iterator[float]:
    """Milliseconds a shard of a plain loop over the first 2,000 of them, half of them before the run and half after it."""
    count = min(shards, BARE_SHARDS) // 2
    for first in (0, count):
        started = time.perf_counter()
        for index in range(first, first + count):
            fill(ShardAddress(folder=str(root), stage="captions", lineage="bare", index=index))
        yield 1000 * (time.perf_counter() - started) / count


def _scan_figures(plan: RunPlan) -> dict[str, float]:
    """What inspecting a stage costs: which shards are missing, and `synclr status`."""
    from flows.runs.status import status

    return {
        "missing_s": round(_timed(partial(missing, plan.stages["captions"])), 3),
        "status_s": round(_timed(partial(status, plan.root, plan.name)), 3),
    }


def _timed(act: Callable[[], object]) -> float:
    started = time.perf_counter()
    act()
    return time.perf_counter() - started


def _settle(flow_run: str, made: int) -> tuple[int, float]:
    """Completed task runs that the server has written down, and how long after the flow's end the last one came."""
    ended = news = time.monotonic()
    known = 0
    while known < made and time.monotonic() - news < SETTLED_SECONDS:
        if (count := _task_runs(flow_run, completed=True)) != known:
            known, news = count, time.monotonic()
        time.sleep(0.5)
    return known, news - ended


def _task_runs(flow_run: str, *, completed: bool = False) -> int:
    filters: dict[str, Any] = {
        "flow_runs": {"id": {"any_": [flow_run]}},
        "task_runs": {"name": {"like_": BUNDLE}},
    }
    if completed:
        filters["task_runs"]["state"] = {"type": {"any_": ["COMPLETED"]}}
    return int(_post("/task_runs/count", filters))


def _newest_flow_run() -> str:
    return str(_post("/flow_runs/filter", {"sort": "START_TIME_DESC", "limit": 1})[0]["id"])


def _post(path: str, body: dict[str, Any]) -> Any:
    from prefect.client.orchestration import get_client

    with get_client(sync_client=True) as client:
        return client._client.post(path, json=body).json()


def _database_bytes() -> int:
    if url := os.environ.get(DATABASE):
        import asyncio

        import asyncpg

        async def size() -> int:
            connection = await asyncpg.connect(url.replace("+asyncpg", ""))
            try:
                return int(await connection.fetchval("SELECT pg_database_size(current_database())"))
            finally:
                await connection.close()

        return asyncio.run(size())
    with closing(sqlite3.connect(Path(os.environ["PREFECT_HOME"]) / "prefect.db")) as database:
        pages, size = (database.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "page_size"))
        return int(pages * size)


@contextmanager
def _memory() -> Iterator[list[int]]:
    """Resident bytes of the server's processes: [at the start, at the peak so far]."""
    server = next(child for child in psutil.Process().children() if "server" in child.cmdline())
    found, ended = [_resident(server)] * 2, threading.Event()

    def sample() -> None:
        while not ended.wait(1):
            found[1] = max(found[1], _resident(server))

    sampler = threading.Thread(target=sample)
    sampler.start()
    try:
        yield found
    finally:
        ended.set()
        sampler.join()


def _resident(process: psutil.Process) -> int:
    return sum(each.memory_info().rss for each in (process, *process.children(recursive=True)))


def _page_figures(address: str, flow_run: str, image: Path | None) -> dict[str, Any]:
    """How long a browser takes to show the run's page, graph drawn; `image` is what it shows then."""
    from playwright.sync_api import Error, sync_playwright

    try:
        with sync_playwright() as driver:
            return _time_page(driver, f"{address}/runs/flow-run/{flow_run}", image)
    except Error as error:  # a graph too large for the browser is a figure as well
        return {"page_drawn_s": f"over {PAGE_SECONDS}", "page_error": error.message.splitlines()[0]}


def _time_page(driver: Any, url: str, image: Path | None) -> dict[str, Any]:
    browser = driver.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
    page = browser.new_page(viewport={"width": 1200, "height": 900})
    page.set_default_timeout(1000 * PAGE_SECONDS)
    started = time.perf_counter()
    with page.expect_response(lambda answer: "/graph-v2" in answer.url) as graph:
        page.goto(url, wait_until="load")
    nodes = len(graph.value.json()["nodes"])
    answered = time.perf_counter() - started
    page.locator("canvas").first.wait_for(state="visible")
    for _ in range(2):  # frames
        page.wait_for_function("() => true", polling="raf")
    drawn = time.perf_counter() - started
    if image:
        page.wait_for_timeout(2000)  # the graph slides into its place
        page.screenshot(path=image)
    return {"page_nodes": nodes, "page_graph_s": round(answered, 2), "page_drawn_s": round(drawn, 2)}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shards", type=int, default=2000)
    parser.add_argument("--most-bundles", type=int, help="as shipped, if left out; as many as shards: a task run each")
    parser.add_argument("--page", action="store_true", help="time the run's page in Chromium")
    parser.add_argument("--image", type=Path, help="and keep an image of it (.png)")
    given = parser.parse_args()
    print(json.dumps(measure(given.shards, given.most_bundles, given.page, given.image)), flush=True)
