"""A number of shards enters; what running them costs in Prefect, beside a bare loop over the same shards, leaves.

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
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import psutil

from benchmarks.captions_for_images import captions
from data_specs import caption
from data_specs.shard import SealedStage, ShardAddress
from data_specs.specs.run import Run, RunSpec
from flows.server import settings as prefect_environment
from flows.server.prefect_server import running
from tasks.engines import EngineProcess
from tasks.shards import make_shard, missing_first

SETTLED_SECONDS = 60
"""The server writes down task runs after the flow has ended; what has not come by so long without news is lost."""
IN_MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None
BARE_SHARDS = 2000
PAGE_SECONDS = 120
DATABASE = "PREFECT_SERVER_DATABASE_CONNECTION_URL"


def measure(shards: int, most_bundles: int | None, look: bool, image: Path | None) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory(dir=IN_MEMORY) as data:
        home = Path(folder) / "prefect"
        home.mkdir()
        os.environ["PREFECT_HOME"] = str(home)
        os.environ.pop("PREFECT_API_URL", None)
        prefect_environment.prepare()
        with running(log=home / "server.log") as address:
            from prefect.settings import PREFECT_API_URL, temporary_settings

            with temporary_settings({PREFECT_API_URL: f"{address}/api"}):
                figures = _walk(Path(data), shards, most_bundles)
            flow_run = figures.pop("flow_run")
            if look or image:
                figures |= _look(address, flow_run, image)
        log = (home / "server.log").read_text(encoding="utf-8", errors="replace")
        return figures | {"dropped_messages": log.count("queue is full"), "locked": log.count("database is locked")}


def _walk(folder: Path, shards: int, most_bundles: int | None) -> dict[str, Any]:
    from flows.execution import run_bundles as run_bundles
    from flows.runs.resolve import stages

    run_request = _flow()
    run_bundles.MOST_BUNDLES = most_bundles or run_bundles.MOST_BUNDLES
    run = _run(folder / "run", shards)
    # Twice, since the first imports much. What the second takes is part of every run, whatever its size.
    fixed = [_timed(partial(run_request, _run(folder / name, 1))) for name in ("cold", "warm")][-1]
    load, halves = os.getloadavg()[0], _bare(run, folder / "bare")
    before = _database_bytes()
    bare = next(halves)
    with _memory() as memory:
        started = time.time()
        wall = _timed(lambda: run_request(run))
        made = len(run_bundles.bundles(stages(run.spec, run.root)["captions"].shards, run.spec.execution.workers))
        flow_run = _newest_flow_run()
        recorded, after = _settle(flow_run, made)
    bare = (bare + next(halves)) / 2
    grown = _database_bytes() - before
    again = _timed(lambda: run_request(run))
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
    } | _scans(run)


def fill(address: ShardAddress) -> int:
    """Make one shard."""
    return make_shard(address, caption.CONTRACT, lambda: captions(1)).accepted


def _flow() -> Any:
    """A stage flow like every other, whose engine does nothing. Prefect is imported once its settings stand."""
    from prefect import flow, task
    from prefect.cache_policies import NO_CACHE

    from flows.execution.run_bundles import run_bundles
    from flows.execution.stage_run import StageRun
    from flows.runs.resolve import stages

    @task(name="fill a bundle of shards", cache_policy=NO_CACHE)
    def fill_bundle(addresses: Sequence[ShardAddress], engine: EngineProcess) -> int:
        return sum(engine.call(fill, address) for address in missing_first(addresses))

    @flow(name="captions", flow_run_name="captions of {run.name}")
    def run_request(run: Run) -> SealedStage:
        with StageRun(run, stages(run.spec, run.root)["captions"]) as stage_run:
            return run_bundles(stage_run, "captions", 1, lambda bundle, engine: fill_bundle.submit(bundle, engine))

    return run_request


def _run(root: Path, shards: int) -> Run:
    """A run whose captions stage has that many shards, its recipe written down."""
    from flows.runs.folder import write_recipe

    settings = {"captions": {"engine": "fake", "total": shards, "per_shard": 1}, "images": {"engine": "fake"}}
    run = Run(name="trivial", root=str(root), spec=RunSpec.model_validate(settings))
    write_recipe(run, {"recipe": "tiny", "settings": settings})
    return run


def _bare(run: Run, root: Path) -> Iterator[float]:
    """Milliseconds a shard of a plain loop over the first 2,000 of them, half of them before the run and half after it."""
    from flows.runs.resolve import stages

    shards = stages(run.spec, str(root))["captions"].shards
    count = min(len(shards), BARE_SHARDS) // 2
    for half in (shards[:count], shards[count : 2 * count]):
        started = time.perf_counter()
        for address in half:
            fill(address)
        yield 1000 * (time.perf_counter() - started) / count


def _scans(run: Run) -> dict[str, float]:
    """What looking at a stage costs: which shards are missing, and `synclr status`."""
    from flows.execution.stage_run import StageRun
    from flows.runs.resolve import stages
    from flows.runs.status import status

    stage = stages(run.spec, run.root)["captions"]
    return {
        "missing_s": round(_timed(lambda: StageRun(run, stage)), 3),
        "status_s": round(_timed(lambda: status(run.root, run.name)), 3),
    }


def _timed(act: Any) -> float:
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
        "task_runs": {"name": {"like_": "fill a bundle"}},
    }
    if completed:
        filters["task_runs"]["state"] = {"type": {"any_": ["COMPLETED"]}}
    return int(_ask("/task_runs/count", filters))


def _newest_flow_run() -> str:
    return str(_ask("/flow_runs/filter", {"sort": "START_TIME_DESC", "limit": 1})[0]["id"])


def _ask(path: str, body: dict[str, Any]) -> Any:
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


def _look(address: str, flow_run: str, image: Path | None) -> dict[str, Any]:
    """How long a browser takes to show the run's page, graph drawn; `image` is what it shows then."""
    from playwright.sync_api import Error, sync_playwright

    try:
        with sync_playwright() as driver:
            return _drawn(driver, f"{address}/runs/flow-run/{flow_run}", image)
    except Error as error:  # a graph too large for the browser is a figure as well
        return {"page_drawn_s": f"over {PAGE_SECONDS}", "page_error": error.message.splitlines()[0]}


def _drawn(driver: Any, url: str, image: Path | None) -> dict[str, Any]:
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
    parser.add_argument("--image", type=Path, help="and keep a image of it (.png)")
    asked = parser.parse_args()
    print(json.dumps(measure(asked.shards, asked.most_bundles, asked.page, asked.image)), flush=True)
