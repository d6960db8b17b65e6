"""A number of captions enters; how long the pass across their shards takes, grown in four steps, and in how much memory, leaves.

`python -m benchmarks.selection 1000000`. Captions are put together from words, some 4 % repeat others; 10,000 names are balanced.
"""

import json
import random
import resource
import sys
import tempfile
import time
from collections import Counter
from dataclasses import replace

from data_specs import caption, concept
from data_specs.caption import Caption, Sampling
from data_specs.concept import Concept
from data_specs.ids import caption_id, concept_id
from data_specs.model_identity import ModelIdentity
from data_specs.shard import ShardAddress
from data_specs.specs.captions import CaptionsSpec
from tasks.captions.select import select_shards
from tasks.shards import make_shard, read_rows

PER_SHARD, CONCEPTS, STEPS = 10_000, 10_000, 4
LIGHTS = ("at dawn", "in the rain", "under a grey sky", "lit by a lamp", "on a summer afternoon", "by night")
FORMS = (
    "A {look} {name} beside a {other} in a {place}, {light}.",
    "{look} {name} with a {other} near the {place} {light}",
    "There is a {name}, {look} and {other_look}, in front of a {place} {light}.",
    "A photo of a {look} {name} in a {place}.",
)


def words(count: int, draw: random.Random) -> list[str]:
    parts = ["ba", "ke", "lo", "mi", "nu", "ra", "se", "to", "vi", "za", "pe", "du"]
    return sorted({"".join(draw.choices(parts, k=3)) for _ in range(3 * count)})[:count]


def main(total: int) -> None:
    draw = random.Random(0)
    vocabulary = words(1500, draw)
    names = [f"{draw.choice(vocabulary)} {draw.choice(vocabulary)}{number}" for number in range(CONCEPTS)]
    concepts = [Concept(concept_id("object", name), name, "object", "x", 1 / CONCEPTS, ("made",)) for name in names]
    blank = Caption(
        caption_id(concepts[0].id, 0, 0, 0, ""), "", concepts[0].id, "", "object", "x", "concept", None, None, None, (),
        "", ModelIdentity("made", "0"), Sampling(0.8, 0.9, 32), 0, 0, 0, 0,
    )  # fmt: skip

    def text(about: Concept) -> str:
        look, other_look, other, place = draw.choices(vocabulary, k=4)
        return draw.choice(FORMS).format(
            name=about.name, look=look, other_look=other_look, other=other, place=place, light=draw.choice(LIGHTS)
        )

    def captions(shard: int) -> list[Caption]:
        made: list[Caption] = []
        for slot in range(PER_SHARD):
            about = concepts[int(CONCEPTS * draw.random() ** 2)]  # the first has 1 % of all
            said = text(about) if slot % 25 or not made else f"{draw.choice(made).text} {draw.choice(('', 'now'))}"
            about = about if slot % 25 or not made else concepts[0]
            id = caption_id(about.id, 0, shard, slot, said)
            made.append(
                replace(blank, id=id, text=said, concept_id=about.id, concept=about.name, shard=shard, slot=slot)
            )
        return made

    with tempfile.TemporaryDirectory() as root:
        count = total // PER_SHARD
        shards = {
            stage: [ShardAddress(folder=f"{root}/{stage}", stage=stage, lineage=stage, index=i) for i in range(count)]
            for stage in ("concepts", "captions", "selection")
        }
        table = shards["concepts"][0]
        make_shard(table, concept.CONTRACT, lambda: concepts, tar=False)
        for index, address in enumerate(shards["captions"]):
            make_shard(address, caption.CONTRACT, lambda at=index: captions(at), tar=False)  # type: ignore[misc]
        spec = CaptionsSpec(engine="fake", total=total, per_shard=PER_SHARD, balance=50)
        print(json.dumps({"made": total, "rss_mb": peak()}), flush=True)
        for step in range(1, STEPS + 1):
            grown, began, worked_before = count * step // STEPS, time.monotonic(), time.process_time()
            select_shards(table, shards["captions"][:grown], shards["selection"][:grown], spec, seed=0)
            took, worked = time.monotonic() - began, time.process_time() - worked_before
            told = {"captions": grown * PER_SHARD, "seconds": round(took, 1), "cpu_seconds": round(worked, 1)}
            print(json.dumps(told | {"rss_mb": peak()}), flush=True)
        found = Counter(v for at in shards["selection"] for v in read_rows(at, ["verdict"])["verdict"].to_pylist())
        print(json.dumps(dict(found)))


def peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 200_000)
