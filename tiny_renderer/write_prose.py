"""A number of captions enters; the prose that the tiny renderer learns from leaves, written by the captions room.

``python -m tiny_renderer.write_prose [--captions 2048] [--output FILE]`` walks a run, ``tiny-prose``, as far as its captions
with the tiny recipe's language model, prompts and screens: `synclr status tiny-prose`, its report and its page in Prefect
are as of any run, and the same command goes on after a kill. Then it keeps what says what was asked. Copy the file to
data_specs/tiny_world/prose.jsonl.gz to train with it. ``--of RUN`` takes the captions that a run has, to measure with.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from data_specs.caption import CONTRACT, Caption
from data_specs.errors import SynclrError
from data_specs.run import WORKSPACE, Run
from flows.execution.run import walk
from flows.runs.folder import read_recipe
from flows.runs.recipes import knobs
from flows.runs.request import Request
from flows.runs.resolve import rooms
from models.tiny_world.world import read_world
from tasks.shards import read_shard
from tiny_renderer.prose_of_captions import prose_of, write_prose

NAME = "tiny-prose"
TURNED = (
    "seed=1",  # runs have 0: what the renderer learnt from is not what it is asked for
    "concepts.kinds={object: 0.84, place: 0.09, texture: 0.07}",
    "captions.strategies={concept: 0.3, relation: 0.35, background: 0.35}",
    "captions.total=2048",
)


def request(root: str, turned: list[str]) -> Request:
    """What is walked; ``turned`` are further knobs, ``room.knob=value``, which win."""
    return Request("tiny", NAME, root, until="captions", knobs=knobs("tiny", [*TURNED, *turned]))


def write_tiny_prose(run: Run, output: Path) -> Counter[str]:
    """Write ``output`` from a run's sealed captions; return how many were kept, and refused by reason."""
    return write_prose(prose_of(_captions(run), read_world()), output)


def _captions(run: Run) -> Iterator[Caption]:
    for address in rooms(run.spec, run.root)["captions"].shards:
        yield from read_shard(address, CONTRACT)


def main() -> int:
    """Read the command line, write, and print what was kept."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", default=WORKSPACE, help="folder or fsspec URL under which the run lies")
    parser.add_argument("--captions", type=int, help="planned in all [2048]; raise it to grow")
    parser.add_argument("--of", metavar="RUN", help="walk nothing: take the captions of this run, which must be whole")
    parser.add_argument("--set", nargs="+", default=[], metavar="KNOB", help="room.knob=value of the run")
    parser.add_argument("--output", type=Path, default=Path(WORKSPACE) / "tiny_prose" / "prose.jsonl.gz")
    arguments = parser.parse_args()
    turned = [*([f"captions.total={arguments.captions}"] if arguments.captions else []), *arguments.set]
    try:
        if arguments.of:
            run, _ = read_recipe(arguments.root, arguments.of)
        else:
            asked = request(arguments.root, turned)
            walk(asked, quiet=False)
            run = asked.resolved()
        counts = write_tiny_prose(run, arguments.output)
    except SynclrError as error:
        print(error, file=sys.stderr)
        return 1
    print(json.dumps({"file": str(arguments.output), **dict(counts.most_common())}))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
