"""Write the prose that the tiny renderer is trained on, by way of the captions stage.

``python -m tiny_renderer.write_prose [--captions 2048] [--output FILE]`` runs a run, ``tiny-prose``, as far as its captions
with the tiny recipe's language model, prompts and screens: `synclr status tiny-prose`, its report and its page in Prefect
are as of any run, and the same command goes on after a kill. Then it keeps the captions that say what was asked. Copy the
file to data_specs/tiny_world/prose.jsonl.gz to train with it. ``--of RUN`` takes the captions that a run has, to measure with.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from data_specs.caption import CONTRACT, Caption
from data_specs.errors import SynclrError
from data_specs.specs.run import WORKSPACE
from flows.cli.progress_display import progress_listener
from flows.runs.plan import RunPlan, read_plan
from flows.runs.recipes import read_overrides
from flows.runs.request import Request
from flows.server.settings import prepare
from models.tiny_world.world import read_world
from tasks.shards import read_shard
from tiny_renderer.prose_of_captions import prose_of, write_prose_file

NAME = "tiny-prose"
OVERRIDES = (
    "seed=1",  # runs have 0: what the renderer was trained on is not what it is asked for
    "concepts.kinds={object: 0.84, place: 0.09, texture: 0.07}",
    "captions.strategies={concept: 0.3, relation: 0.35, background: 0.35}",
    "captions.total=2048",
)


def prose_request(root: str, overrides: Sequence[str]) -> Request:
    """What is run; ``overrides`` are further settings, ``stage.setting=value``, which win."""
    settings = read_overrides("tiny", [*OVERRIDES, *overrides])
    return Request("tiny", NAME, root, until="captions", settings=settings)


def write_prose(plan: RunPlan, output: Path) -> Counter[str]:
    """Write ``output`` from a run's sealed captions; return how many were kept, and refused by reason."""
    return write_prose_file(prose_of(_captions(plan), read_world()), output)


def _captions(plan: RunPlan) -> Iterator[Caption]:
    for address in plan.stages["captions"].shards():
        yield from read_shard(address, CONTRACT)


def main() -> int:
    """Run or take a run's captions, write the prose, and print how much was kept."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", default=WORKSPACE, help="folder or fsspec URL under which the run lies")
    parser.add_argument("--captions", type=int, help="planned in all [2048]; raise it to grow")
    parser.add_argument("--of", metavar="RUN", help="run nothing: take the captions of this run, which must be sealed")
    parser.add_argument("--set", nargs="+", default=[], metavar="SETTING", help="stage.setting=value of the run")
    parser.add_argument("--output", type=Path, default=Path(WORKSPACE) / "tiny_prose" / "prose.jsonl.gz")
    given = parser.parse_args()
    overrides = [*([f"captions.total={given.captions}"] if given.captions else []), *given.set]
    try:
        if not given.of:
            prepare()  # Prefect's settings must stand before it is imported
            from flows.launch.run import run_request

            with progress_listener(quiet=False) as listener:
                run_request(prose_request(given.root, overrides), [listener])
        counts = write_prose(read_plan(given.root, given.of or NAME), given.output)
    except SynclrError as error:
        print(error, file=sys.stderr)
        return 1
    print(json.dumps({"file": str(given.output), **dict(counts.most_common())}))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
