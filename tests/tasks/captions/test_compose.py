from collections import Counter

import pytest

from data_specs import caption
from data_specs.caption import Caption
from data_specs.errors import SpecError
from data_specs.rejection import Rejection
from data_specs.run import CaptionsSpec
from data_specs.shard import ShardAddress
from models.captioner.fake import FakeCaptioner
from support.concept_tables import small_table
from tasks.captions.compose import compose, compose_shard
from tasks.captions.planning import Planner
from tasks.captions.prompt_files import load_prompts
from tasks.shards import read_rejects, read_shard

SPEC = CaptionsSpec(engine="fake", per_shard=40, attempts=3)


class Counting(FakeCaptioner):
    """Counts what it is asked."""

    def __init__(self, faulty=0.0):
        super().__init__(faulty)
        self.calls = []

    def complete(self, asks):
        self.calls.append(list(asks))
        return super().complete(asks)


class Repeating(FakeCaptioner):
    """Says the same of everything."""

    def complete(self, asks):
        return ["A fox, a kettle, a tram, a daisy, an otter, a harbor with moss.\n" for _ in asks]


def composed(captioner, spec=SPEC, seed=0):
    planner = Planner(small_table(), spec, seed)
    plans = [planner.plan(2, slot) for slot in range(spec.per_shard)]
    return list(compose(plans, load_prompts(spec.prompts), captioner, spec, seed))


def address(folder, index=0):
    return ShardAddress(folder=str(folder), room="captions", lineage="abc", index=index)


def test_every_ask_is_kept_or_refused_and_every_slot_ends():
    captioner = Counting(faulty=0.6)
    outcomes = composed(captioner)
    captions = [each for each in outcomes if isinstance(each, Caption)]
    reasons = Counter(each.reason for each in outcomes if isinstance(each, Rejection))
    asked = sum(map(len, captioner.calls))
    assert reasons["exhausted"] > 0 and reasons["empty"] > 0
    assert asked == len(captions) + reasons.total() - reasons["exhausted"]
    assert len(captions) + reasons["exhausted"] == SPEC.per_shard
    assert [each.slot for each in captions] == sorted({each.slot for each in captions})
    assert {each.attempt for each in captions} == {0, 1, 2}


def test_only_open_slots_are_asked_again():
    captioner = Counting(faulty=0.3)
    composed(captioner)
    sizes = [len(call) for call in captioner.calls]
    assert sizes[0] == SPEC.per_shard and sizes == sorted(sizes, reverse=True) and len(set(sizes)) > 1
    assert len({ask.seed for call in captioner.calls for ask in call}) == sum(sizes)


def test_prompts_that_begin_alike_are_asked_one_after_the_other():
    captioner = Counting(faulty=0.3)
    outcomes = composed(captioner, SPEC.model_copy(update={"packing": 8}))
    for call in captioner.calls:
        beginnings = [ask.prompt.rpartition("\n\n")[0] for ask in call]
        changes = sum(one != other for one, other in zip(beginnings, beginnings[1:], strict=False))
        assert changes == len(set(beginnings)) - 1
        assert len(call) < 20 or changes < len(call) / 2
    refused = [each.key.split("-") for each in outcomes if isinstance(each, Rejection) and each.reason == "empty"]
    first_refused = [int(slot) for _, _, slot, attempt in refused if attempt == "0"]
    assert first_refused == sorted(first_refused), "answers are judged in slot order"


def test_a_text_is_kept_once_in_a_shard():
    outcomes = composed(Repeating())
    assert sum(isinstance(each, Caption) for each in outcomes) == 1
    assert any(each.reason == "duplicate" for each in outcomes if isinstance(each, Rejection))


def test_a_caption_carries_all_that_made_it():
    for each in composed(FakeCaptioner()):
        assert isinstance(each, Caption)
        assert caption.decode(caption.encode(each)) == each
        assert len(each.examples) == 3 and each.shard == 2 and each.model.id == "fake"
        assert (each.background is not None) == (each.strategy == "background")
        assert (each.relation is not None) == (each.strategy == "relation")


def test_the_same_shard_is_the_same_bytes(tmp_path):
    spec = SPEC.model_copy(update={"min_kept": 0.0})
    first = compose_shard(small_table(), address(tmp_path / "a", 3), FakeCaptioner(0.4), spec, seed=0)
    captioner = FakeCaptioner(0.4)
    compose_shard(small_table(), address(tmp_path / "b", 1), captioner, spec, seed=0)
    again = compose_shard(small_table(), address(tmp_path / "b", 3), captioner, spec, seed=0)
    assert again == first


def test_what_is_sealed_is_what_was_kept_and_is_not_asked_for_again(tmp_path):
    captioner = Counting(faulty=0.2)
    manifest = compose_shard(small_table(), address(tmp_path), captioner, SPEC, seed=0)
    assert len(list(read_shard(address(tmp_path), caption.CONTRACT))) == manifest.accepted
    rejects = read_rejects(address(tmp_path))
    assert len(rejects) == sum(manifest.rejected.values()) > 0
    assert len({each.key for each in rejects}) == len(rejects)
    calls = len(captioner.calls)
    assert compose_shard(small_table(), address(tmp_path), captioner, SPEC, seed=0) == manifest
    assert len(captioner.calls) == calls


def test_a_shard_that_keeps_too_little_is_not_sealed(tmp_path):
    with pytest.raises(SpecError, match="min_kept"):
        compose_shard(small_table(), address(tmp_path), FakeCaptioner(1.0), SPEC, seed=0)
    assert not list(tmp_path.glob("*.json"))
