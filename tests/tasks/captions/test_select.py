"""The pass across shards: its verdicts are a naive loop's, whatever the order of making, growth, kills or bundles."""

import random
import tracemalloc

import pytest

from data_specs import caption, concept
from data_specs.errors import ContractError
from data_specs.selection import CONTRACT
from data_specs.shard import UNNAMED, ShardAddress
from data_specs.specs.captions import CaptionsSpec
from data_specs.stage import Stage
from support.builders import make_caption, make_concept
from tasks.captions import select
from tasks.captions.near_duplicates import keys, repeats
from tasks.captions.select import select_shards
from tasks.events import ignore
from tasks.shard_faults import verify_shard
from tasks.shards import make_shard, read_rows, sealed

NAMES = ["dog", "red fox", "tram", "owl", "teapot"]
PLACES = ["in an old wooden house", "on a sunny beach near the pier", "under a tall pine", "beside two small boats"]
LOOKS = ["sleeping", "with blue doors", "seen from far away", "in the rain", "wearing a green hat"]
PER_SHARD, SHARDS = 24, 8
SPEC = CaptionsSpec(engine="fake", total=PER_SHARD * SHARDS, per_shard=PER_SHARD)


def texts(shard):
    """Many that repeat one another, exactly but for case and the full stop, or but for a word or two."""
    draw = random.Random(shard)
    for _ in range(PER_SHARD):
        name, other = draw.choice(NAMES), draw.choice(NAMES)
        text = f"A {name} {draw.choice(LOOKS)} and a {other} {draw.choice(PLACES)}, {draw.choice(LOOKS)}, at noon"
        yield name, draw.choice([text, text + ".", text.upper(), text.replace("at", "before"), text + " today"])


def captions_in(root, count=SHARDS):
    """A sealed stage."""
    stage = Stage(name="captions", lineage="c", folder=f"{root}/captions", count=count, facts={})
    for address in stage.shards():
        made = [make_caption(name, slot, text, address.index) for slot, (name, text) in enumerate(texts(address.index))]
        make_shard(address, caption.CONTRACT, lambda kept=made: kept)
    return stage


def table_in(root):
    table = ShardAddress(folder=f"{root}/concepts", stage="concepts", lineage="t", index=0)
    make_shard(table, concept.CONTRACT, lambda: [make_concept(name) for name in NAMES], tar=False)
    return table


def selection_in(root, count=SHARDS):
    return Stage(name="selection", lineage="s", folder=f"{root}/selection", count=count, facts={})


def chosen(root, spec=SPEC, count=SHARDS, seed=0):
    selection, captions = selection_in(root, count), captions_in(root, count)
    select_shards(selection, captions, table_in(root), spec, seed=seed, made_by=UNNAMED, emit=ignore)
    return [read_rows(address).to_pylist() for address in selection.shards()]


def digests(root):
    return [sealed(address).files for address in selection_in(root).shards()]


def naive(root, similarity):
    """Every caption against every one that was kept before it, in order."""
    kept, verdicts = [], []
    for address in captions_in(root).shards():
        rows = read_rows(address).to_pylist()
        hashed = keys([row["text"] for row in rows], similarity).tolist()
        for row, mine in zip(rows, map(set, hashed), strict=True):
            for other, shard, theirs in kept:
                found = repeats(row["text"], other["text"], similarity) if mine & theirs else None
                if found:
                    verdicts.append((row["id"], f"{found}_elsewhere", other["id"], shard))
                    break
            else:
                kept.append((row, address.index, mine))
                verdicts.append((row["id"], "kept", None, None))
    return verdicts


@pytest.mark.parametrize(("across", "similarity"), [("near", 0.85), ("near", 0.7), ("exact", None)])
def test_verdicts_are_those_of_a_loop_over_all_pairs(tmp_path, across, similarity):
    spec = SPEC.model_copy(update={"across_shards": across} | ({"near_duplicates": similarity} if similarity else {}))
    rows = [row for shard in chosen(tmp_path, spec) for row in shard]
    found = [(row["id"], row["verdict"], row["repeats"], row["repeats_in"]) for row in rows]
    assert found == naive(tmp_path, similarity)
    verdicts = {verdict for _, verdict, _, _ in found}
    near = {"near_duplicate_elsewhere"} if similarity else set()
    assert verdicts == {"kept", "duplicate_elsewhere"} | near
    assert all(bool(row["keys"]) == (row["verdict"] == "kept") for row in rows)


def test_growth_changes_no_earlier_verdict_and_ends_as_if_all_had_been_there(tmp_path):
    for count in (2, 4, SHARDS):
        chosen(tmp_path / "grown", count=count)
    chosen(tmp_path / "whole")
    assert digests(tmp_path / "grown") == digests(tmp_path / "whole")


@pytest.mark.parametrize("at_once", [1, 2 * PER_SHARD, 5 * PER_SHARD])
def test_how_many_are_held_at_once_changes_nothing(tmp_path, monkeypatch, at_once):
    chosen(tmp_path / "whole")
    monkeypatch.setattr(select, "AT_ONCE", at_once)
    chosen(tmp_path / "bundled")
    assert digests(tmp_path / "bundled") == digests(tmp_path / "whole")


@pytest.mark.parametrize("lost", [[3], [0, 1], [2, 5, 6], [7]])
def test_tables_that_were_lost_are_made_again_as_they_were_and_no_other_is_touched(tmp_path, lost):
    chosen(tmp_path)
    before = digests(tmp_path)
    for index in lost:
        for path in (tmp_path / "selection").glob(f"selection-{index:06d}.*"):
            path.unlink()
    times = {path: path.stat().st_mtime_ns for path in (tmp_path / "selection").glob("selection-??????.json")}
    chosen(tmp_path)
    assert digests(tmp_path) == before
    assert all(path.stat().st_mtime_ns == when for path, when in times.items())


class Killed(BaseException):
    """Nothing catches it, as nothing catches SIGKILL."""


@pytest.mark.parametrize("after", range(0, SHARDS, 3))
def test_killed_after_any_table_it_goes_on_and_ends_the_same(tmp_path, monkeypatch, after):
    chosen(tmp_path / "whole")

    def dying(address, *args, **kwargs):
        if address.stage == "selection" and address.index == after:
            raise Killed
        return make_shard(address, *args, **kwargs)

    monkeypatch.setattr(select, "make_shard", dying)
    with pytest.raises(Killed):
        chosen(tmp_path / "killed")
    assert [address.index for address in selection_in(tmp_path / "killed").shards() if sealed(address)] == list(
        range(after)
    )
    monkeypatch.undo()
    chosen(tmp_path / "killed")
    assert digests(tmp_path / "killed") == digests(tmp_path / "whole")


def test_balancing_thins_out_what_is_named_often_by_the_id_and_the_seed_alone(tmp_path):
    spec = SPEC.model_copy(update={"across_shards": None, "balance": 8})
    rows = [row for shard in chosen(tmp_path / "a", spec) for row in shard]
    kept = sum(row["verdict"] == "kept" for row in rows)
    # Each of five names stands in about 69 of 192 captions; the first shard is drawn against its own counts alone.
    assert 40 < kept < 100 and kept + sum(row["verdict"] == "balanced_away" for row in rows) == len(rows)
    assert all(row["names"] for row in rows)
    for count in (3, SHARDS):
        chosen(tmp_path / "b", spec, count)
    assert digests(tmp_path / "a") == digests(tmp_path / "b")
    other = [row["verdict"] for shard in chosen(tmp_path / "c", spec, seed=1) for row in shard]
    assert other != [row["verdict"] for row in rows]


def test_with_both_repeats_are_neither_counted_nor_drawn(tmp_path):
    both = SPEC.model_copy(update={"balance": 10**6})
    rows, without = ([row for s in chosen(tmp_path / n, spec) for row in s] for n, spec in (("a", both), ("b", SPEC)))
    assert [row["verdict"] for row in rows] == [row["verdict"] for row in without]
    assert all(bool(row["names"]) == (row["verdict"] == "kept") for row in rows)


def test_a_table_is_whole_and_captions_that_changed_since_are_refused(tmp_path):
    chosen(tmp_path, count=2)
    assert not [fault for address in selection_in(tmp_path, 2).shards() for fault in verify_shard(address, CONTRACT)]
    first = captions_in(tmp_path).shard(0)
    for path in (tmp_path / "captions").glob("captions-000000*"):
        path.unlink()
    make_shard(first, caption.CONTRACT, lambda: [make_caption("dog", 1, next(texts(0))[1])])
    with pytest.raises(ContractError, match="captions-000000"):
        chosen(tmp_path)


def test_memory_follows_what_is_held_at_once_and_not_the_number_of_shards(tmp_path, monkeypatch):
    monkeypatch.setattr(select, "AT_ONCE", PER_SHARD)
    captions, table = captions_in(tmp_path), table_in(tmp_path)

    def peak(count):
        tracemalloc.start()
        selection = selection_in(tmp_path, count)
        select_shards(selection, captions, table, SPEC, seed=0, made_by=UNNAMED, emit=ignore)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    peak(2)  # what is loaded once
    assert peak(SHARDS) < 1.3 * peak_of_two(peak, tmp_path)


def peak_of_two(peak, folder):
    for path in (folder / "selection").glob("selection-*"):
        path.unlink()
    return peak(2)
