import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from data_specs import caption, concept
from data_specs.caption import Caption
from data_specs.errors import SpecError
from data_specs.rejection import Rejection
from data_specs.shard import MadeBy, ShardAddress
from data_specs.specs.captions import CaptionsSpec
from data_specs.stage import Stage
from models.captioner.fake import FakeCaptioner
from models.captioner.protocol import prompt_digest
from support.concept_tables import small_table
from tasks.bundles import Work
from tasks.captions.compose import CaptionInputs, compose, compose_bundle, compose_shard
from tasks.captions.planning import Planner
from tasks.captions.prompt_files import load_prompts
from tasks.captions.unsafe_words import UnsafeWords
from tasks.events import Advanced, Notice, ShardSealed
from tasks.shards import make_shard, read_rejects, read_shard, sealed

SPEC = CaptionsSpec(engine="fake", per_shard=40, attempts=3)
PROMPTS = load_prompts(SPEC.prompts)


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


class Chatty(FakeCaptioner):
    """Answers a share of texts as a chat model does, and chats with a greeting first."""

    def __init__(self, share=1.0, greeting=" Sure! Here is a caption:\n"):
        super().__init__()
        self._share, self._greeting = share, greeting

    def complete(self, asks):
        texts = super().complete(asks)
        if not asks or not isinstance(asks[0].prompt, str):
            return [f"{self._greeting}\n1. {text.strip()}\n" for text in texts]
        return [
            self._greeting if ask.seed % 100 < self._share * 100 else text
            for ask, text in zip(asks, texts, strict=True)
        ]


def composed(captioner, spec=SPEC, seed=0):
    planner = Planner(small_table(), spec, seed)
    plans = [planner.plan(2, slot) for slot in range(spec.per_shard)]
    return list(compose(plans, PROMPTS, UnsafeWords(), captioner, spec, seed))


def address(folder, index=0):
    return ShardAddress(folder=str(folder), stage="captions", lineage="abc", index=index)


@pytest.fixture
def inputs(tmp_path):
    table = ShardAddress(folder=str(tmp_path / "concepts"), stage="concepts", lineage="t", index=0)
    make_shard(table, concept.CONTRACT, small_table, tar=False)
    return CaptionInputs(table, PROMPTS, UnsafeWords())


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


def test_a_chat_model_that_is_asked_to_continue_texts_is_recognised_and_said(tmp_path, inputs):
    spec, events = SPEC.model_copy(update={"min_kept": 0.0}), []
    compose_shard(
        inputs, address(tmp_path / "some"), Chatty(0.5), spec, seed=0, made_by=MadeBy("r", "f"), emit=events.append
    )
    assert [event.run for event in events if isinstance(event, Notice)] == ["r"]
    assert all("captions.chat=true" in event.text for event in events if isinstance(event, Notice))
    with pytest.raises(SpecError, match=r"refused: chatter 120; .*as a chat model does.*captions.chat=true"):
        compose_shard(inputs, address(tmp_path / "all"), Chatty(), SPEC, seed=0)
    with pytest.raises(SpecError, match=r"refused: empty 120; .*open with a line break.*captions.chat=true"):
        compose_shard(inputs, address(tmp_path / "breaks"), Chatty(greeting="\n"), SPEC, seed=0)
    events.clear()
    compose_shard(inputs, address(tmp_path / "base"), FakeCaptioner(0.2), spec, seed=0, emit=events.append)
    assert not [event for event in events if isinstance(event, Notice)], "nothing is said of a base model"


def test_a_chat_model_that_is_asked_in_turns_has_its_captions_kept_and_recorded_as_such(tmp_path, inputs):
    spec, events = SPEC.model_copy(update={"chat": True}), []
    first = compose_shard(inputs, address(tmp_path / "a", 2), Chatty(), spec, seed=0, emit=events.append)
    assert compose_shard(inputs, address(tmp_path / "b", 2), Chatty(), spec, seed=0) == first
    assert first.accepted == SPEC.per_shard and not [event for event in events if isinstance(event, Notice)]
    captions = list(read_shard(address(tmp_path / "a", 2), caption.CONTRACT))
    assert not any(each.text.startswith(("Sure", "1.")) for each in captions)
    assert {(each.seed, each.prompt_digest) for each in captions} <= asked(spec)
    assert {seed for seed, _ in asked(spec)} & {seed for seed, _ in asked(SPEC)}, (
        "seeds and examples are those of texts"
    )
    texts = {
        each.slot: each.examples for each in composed(FakeCaptioner()) if isinstance(each, Caption) and not each.attempt
    }
    assert all(each.examples == texts.get(each.slot, each.examples) for each in captions if not each.attempt)
    told = PROMPTS.model_copy(update={"chat": PROMPTS.chat.model_copy(update={"system": "Answer."})})
    compose_shard(replace(inputs, prompts=told), address(tmp_path / "c", 2), Chatty(), spec, seed=0)
    others = read_shard(address(tmp_path / "c", 2), caption.CONTRACT)
    assert {each.prompt_digest for each in captions}.isdisjoint(each.prompt_digest for each in others)


def asked(spec):
    """Seed and prompt digest of each request for a shard."""
    captioner = Counting()
    composed(captioner, spec)
    return {(ask.seed, prompt_digest(ask.prompt)) for call in captioner.calls for ask in call}


def test_the_same_shard_is_the_same_bytes(tmp_path, inputs):
    spec = SPEC.model_copy(update={"min_kept": 0.0})
    first = compose_shard(inputs, address(tmp_path / "a", 3), FakeCaptioner(0.4), spec, seed=0)
    captioner = FakeCaptioner(0.4)
    compose_shard(inputs, address(tmp_path / "b", 1), captioner, spec, seed=0)
    again = compose_shard(inputs, address(tmp_path / "b", 3), captioner, spec, seed=0)
    assert again == first


def test_what_is_sealed_is_what_was_kept_and_is_not_asked_for_again(tmp_path, inputs):
    captioner = Counting(faulty=0.2)
    manifest = compose_shard(inputs, address(tmp_path), captioner, SPEC, seed=0)
    assert len(list(read_shard(address(tmp_path), caption.CONTRACT))) == manifest.accepted
    rejects = read_rejects(address(tmp_path))
    assert len(rejects) == sum(manifest.rejected.values()) > 0
    assert len({each.key for each in rejects}) == len(rejects)
    calls = len(captioner.calls)
    assert compose_shard(inputs, address(tmp_path), captioner, SPEC, seed=0) == manifest
    assert len(captioner.calls) == calls


def test_a_shard_that_keeps_too_little_is_not_sealed(tmp_path, inputs):
    with pytest.raises(SpecError, match="min_kept"):
        compose_shard(inputs, address(tmp_path), FakeCaptioner(1.0), SPEC, seed=0)
    assert not list(tmp_path.glob("*.json"))


def test_words_that_the_user_lists_are_refused(tmp_path, inputs):
    words = replace(inputs, unsafe_words=UnsafeWords(["moss"]))
    spec = SPEC.model_copy(update={"min_kept": 0.0})
    assert compose_shard(words, address(tmp_path), FakeCaptioner(), spec, seed=0).rejected["unsafe"] > 0


@pytest.mark.slow(10)
def test_a_bundle_is_made_in_one_engine_from_what_it_was_handed(tmp_path, inputs, engine):
    spec = SPEC.model_copy(update={"prompts": "no such folder", "unsafe_words": "no such file", "min_kept": 0.0})
    captions = Stage(name="captions", lineage="abc", folder=str(tmp_path / "here"), count=3, facts={})
    work = Work(captions, (0, 2), spec, inputs, 0, MadeBy("r", "f"))
    events = []
    made = compose_bundle(work, engine, events.append)
    assert compose_bundle(work, engine, events.append) == 0
    assert made == sum(sealed(captions.shard(index)).accepted for index in (0, 2)) and not sealed(captions.shard(1))
    assert [event for event in events if isinstance(event, Advanced)] == [Advanced("r", "captions", 40)] * 2
    assert [event.index for event in events if isinstance(event, ShardSealed)] == [0, 2, 0, 2]
    assert json.loads(Path(captions.shard(2).file("made.json")).read_bytes())["run"] == "r"
    alone = compose_shard(inputs, address(tmp_path / "there", 2), FakeCaptioner(), spec, seed=0)
    assert alone.files == sealed(captions.shard(2)).files
