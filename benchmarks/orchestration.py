"""Measure what Prefect adds to each of 2,000 shards: a task run a shard, against bundles as shipped; one server each.

`SHARDS=10000 python -m benchmarks orchestration` for another number; PREFECT_SERVER_* settings reach the server as ever.
"""

import json
import os
import subprocess
import sys
from typing import Any

SHOWN = {
    "task_runs_made": "task runs",
    "task_runs_recorded": "written down",
    "recorded_after_s": "s after the end",
    "bare_ms": "bare ms/shard",
    "overhead_ms": "added ms/shard",
    "fixed_s": "of it once, s",
    "server_mb": "server MB",
    "database_kb": "database kB",
    "page_drawn_s": "page s",
    "again_s": "again s",
    "load": "load",
}


def main() -> None:
    shards = os.environ.get("SHARDS", "2000")
    found = []
    for options in (["--most-bundles", shards], []):
        found.append(_measured("--shards", shards, *options))
        print(json.dumps({"benchmark": "orchestration"} | found[-1]), flush=True)
    for figure, name in SHOWN.items():
        print(f"{name:>16}", *(f"{one.get(figure)!s:>14}" for one in found), flush=True)


def _measured(*options: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.orchestrated_run", *options, "--page"]
    printed = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    figures: dict[str, Any] = json.loads(printed.splitlines()[-1])
    return figures


if __name__ == "__main__":
    main()
