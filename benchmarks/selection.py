"""Measure how long the selection across caption shards takes, and in how much memory, while a run grows in four steps.

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
from data_specs.ids import Lineage, caption_id, concept_id
from data_specs.model_identity import ModelIdentity
from data_specs.selection import SELECTION
from data_specs.shard import UNNAMED, ShardAddress
from data_specs.specs.captions import CaptionsSpec
from data_specs.stage import Stage
from tasks.captions.select import select_shards
from tasks.events import ignore
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
    with tempfile.TemporaryDirectory() as root:
        count = total // PER_SHARD
        captions, selection = (
            Stage(name=name, lineage=Lineage(name), folder=f"{root}/{name}", count=count, facts={})
            for name in ("captions", SELECTION)
        )
        table = ShardAddress(folder=f"{root}/concepts", stage="concepts", lineage="concepts", index=0)
        make_shard(table, concept.CONTRACT, concepts.copy, tar=False)
        for address in captions.shards():
            made = made_up_captions(address.index, concepts, vocabulary, draw)
            make_shard(address, caption.CONTRACT, made.copy, tar=False)
        spec = CaptionsSpec(engine="fake", total=total, per_shard=PER_SHARD, balance=50)
        print(json.dumps({"made": total, "rss_mb": peak()}), flush=True)
        for step in range(1, STEPS + 1):
            size = {"count": count * step // STEPS}
            grown, began, worked_before = selection.model_copy(update=size), time.monotonic(), time.process_time()
            chosen_from = captions.model_copy(update=size)
            select_shards(grown, chosen_from, table, spec, seed=0, made_by=UNNAMED, emit=ignore)
            took, worked = time.monotonic() - began, time.process_time() - worked_before
            figures = {"captions": grown.count * PER_SHARD, "seconds": round(took, 1), "cpu_seconds": round(worked, 1)}
            print(json.dumps(figures | {"rss_mb": peak()}), flush=True)
        verdicts = Counter(
            verdict for at in selection.shards() for verdict in read_rows(at, ["verdict"])["verdict"].to_pylist()
        )
        print(json.dumps(dict(verdicts)))


def made_up_captions(shard: int, concepts: list[Concept], vocabulary: list[str], draw: random.Random) -> list[Caption]:
    """Sentences put together from words; every 25th repeats an earlier one of the shard, half of those with a word more."""
    blank = Caption(
        caption_id(concepts[0].id, 0, 0, 0, ""), "", concepts[0].id, "", "object", "x", "concept", None, None, None, (),
        "", ModelIdentity("made", "0"), Sampling(0.8, 0.9, 32), 0, 0, 0, 0,
    )  # fmt: skip
    made: list[Caption] = []
    for slot in range(PER_SHARD):
        about = concepts[int(CONCEPTS * draw.random() ** 2)]  # the first has 1 % of all
        if slot % 25 or not made:
            text = sentence(about.name, vocabulary, draw)
        else:
            about, text = concepts[0], f"{draw.choice(made).text} {draw.choice(('', 'now'))}"
        id = caption_id(about.id, 0, shard, slot, text)
        made.append(replace(blank, id=id, text=text, concept_id=about.id, concept=about.name, shard=shard, slot=slot))
    return made


def sentence(name: str, vocabulary: list[str], draw: random.Random) -> str:
    look, other_look, other, place = draw.choices(vocabulary, k=4)
    return draw.choice(FORMS).format(
        name=name, look=look, other_look=other_look, other=other, place=place, light=draw.choice(LIGHTS)
    )


def peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 200_000)
