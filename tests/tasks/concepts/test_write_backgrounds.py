"""Objects are asked about until they have enough; every part of every answer is kept or refused with its reason."""

from collections import Counter
from pathlib import Path

import pytest

from data_specs.background import CONTRACT, Background
from data_specs.errors import SpecError
from data_specs.model_identity import ModelIdentity
from data_specs.rejection import Rejection
from data_specs.shard import MadeBy
from data_specs.specs.concepts import BackgroundsSpec, ConceptsSpec, FileSource
from data_specs.stage import Stage
from support.concept_tables import made_up
from tasks.bundles import Work
from tasks.concepts import write_backgrounds
from tasks.concepts.background_prompts import load_prompt
from tasks.concepts.ingest import asked_about, ingest, ingest_table, read_concepts, table_of, without_backgrounds
from tasks.concepts.write_backgrounds import BackgroundInputs, read_backgrounds, write, write_bundle, write_shard
from tasks.events import Advanced
from tasks.shard_faults import verify_shard
from tasks.shards import read_rejects, read_rows

BARE = str(Path(__file__).with_name("bare_places.yaml"))
SPEC = BackgroundsSpec(engine="fake", model="any", per_concept=3, attempts=4, prompt=BARE)
PROMPT = load_prompt(BARE)
OBJECTS = [made_up("fox", backgrounds=()), made_up("tram", backgrounds=())]


class Scripted:
    """Answers by object and attempt; the last answer is given again and again."""

    def __init__(self, **answers):
        self.model = ModelIdentity("scripted", "0")
        self._answers = {name: list(said) for name, said in answers.items()}
        self.calls = []

    def complete(self, asks):
        asked = [ask.prompt.rsplit("\n", 1)[-1].removesuffix(" =>") for ask in asks]
        self.calls.append(asked)
        return [said.pop(0) if len(said := self._answers[name]) > 1 else said[0] for name in asked]


def split(outcomes):
    outcomes = list(outcomes)
    kept = [each for each in outcomes if isinstance(each, Background)]
    return kept, [each for each in outcomes if isinstance(each, Rejection)]


class Chatty(Scripted):
    """Is asked in turns, of which it takes the last."""

    def complete(self, asks):
        assert {ask.prompt[0].role for ask in asks} == {"system"}
        return [self._answers[ask.prompt[-1].text][0] for ask in asks]


def test_a_chat_model_is_asked_in_turns_and_its_lists_are_read():
    engine = Chatty(
        fox=["Sure! Here are some:\n1. in the forest\n2. on a field\n3. in a den\n"],
        tram=["in a depot, on a street, at dawn\n"],
    )
    spec = BackgroundsSpec(engine="fake", model="any", per_concept=2, attempts=1, chat=True)
    kept, _ = split(write(OBJECTS, load_prompt("backgrounds"), engine, spec, seed=0))
    assert [each.text for each in kept] == ["forest", "field", "depot", "street"]


def test_who_has_too_few_is_asked_again_and_who_has_enough_is_not():
    engine = Scripted(fox=["forest, a Forest, fox\n", "\n", "field, den, cave\n"], tram=["depot, street, bridge\n"])
    kept, refused = split(write(OBJECTS, PROMPT, engine, SPEC, seed=0))
    assert engine.calls == [["fox", "tram"], ["fox"], ["fox"]]
    assert [(each.concept, each.text, each.attempt) for each in kept] == [
        ("fox", "forest", 0), ("fox", "field", 2), ("fox", "den", 2),
        ("tram", "depot", 0), ("tram", "street", 0), ("tram", "bridge", 0),
    ]  # fmt: skip
    fox = OBJECTS[0].id
    assert [(each.key, each.reason, each.text) for each in refused] == [
        (f"{fox}-0", "repeated", "Forest"),
        (f"{fox}-0", "the_concept", "fox"),
        (f"{fox}-1", "empty", ""),
        (f"{fox}-2", "surplus", "cave"),
    ]


def test_an_object_that_ends_short_keeps_what_it_has_and_says_so():
    kept, refused = split(write(OBJECTS, PROMPT, Scripted(fox=["forest\n"], tram=["\n"]), SPEC, seed=0))
    assert [each.text for each in kept] == ["forest"]
    assert Counter(each.reason for each in refused) == {"repeated": 3, "empty": 4, "too_few": 2}
    assert {each.text for each in refused if each.reason == "too_few"} == {"fox: 1 of 3", "tram: 0 of 3"}


def test_a_record_says_what_made_it_and_reads_back():
    engine = Scripted(fox=["a, forest, den\n"], tram=["depot, street, quay\n"])
    kept, _ = split(write(OBJECTS, PROMPT, engine, SPEC, seed=5))
    one = kept[0]
    assert one.model == ModelIdentity("scripted", "0") and one.sampling.max_tokens == SPEC.max_tokens
    assert len(one.examples) == 3 and one.seed != kept[-1].seed and one.prompt_digest != kept[-1].prompt_digest
    assert CONTRACT.decode(CONTRACT.encode(one)) == one
    assert len({each.id for each in kept}) == len(kept)
    again, _ = split(write(OBJECTS[:1], PROMPT, Scripted(fox=["a, forest, den\n"]), SPEC, seed=5))
    assert again[0].seed == one.seed  # from its id, not from who stands beside it


def test_a_sealed_shard_is_asked_for_once_and_is_the_same_bytes_elsewhere(address):
    answers = {"fox": ["forest, den, field\n"], "tram": ["depot\n", "street, quay, depot\n"]}
    here, there = address(stage="backgrounds"), address(stage="backgrounds", lineage="other")
    manifest = write_shard(OBJECTS, PROMPT, here, Scripted(**answers), SPEC, seed=0)
    assert (
        write_shard(OBJECTS, PROMPT, here, Scripted(), SPEC, seed=0) == manifest
    )  # a silent engine: nothing was asked
    assert write_shard(OBJECTS, PROMPT, there, Scripted(**answers), SPEC, seed=0).files == manifest.files
    assert verify_shard(here, CONTRACT) == []
    assert manifest.accepted == read_rows(here).num_rows == 6
    assert Counter(each.reason for each in read_rejects(here)) == manifest.rejected == {"repeated": 1}
    assert read_backgrounds([here])[OBJECTS[1].id] == ("depot", "street", "quay")


def test_a_model_that_gives_too_little_stops_the_run_before_anything_is_sealed(address):
    with pytest.raises(SpecError, match=r"1 of 6 backgrounds after 4 attempts.*min_kept=0.5.*empty 4") as caught:
        write_shard(OBJECTS, PROMPT, address(stage="backgrounds"), Scripted(fox=["den\n"], tram=["\n"]), SPEC, seed=0)
    assert "\n" not in str(caught.value)
    assert list(write(OBJECTS, PROMPT, Scripted(fox=["den\n"], tram=["\n"]), SPEC, 0))
    engine, lower = Scripted(fox=["den\n"], tram=["\n"]), SPEC.model_copy(update={"min_kept": 0.1})
    assert write_shard(OBJECTS, PROMPT, address(stage="backgrounds"), engine, lower, seed=0).accepted == 1


class InThisProcess:
    """An engine without a process of its own."""

    def call(self, function, *args, emit):
        return function(*args, emit=emit)


def test_each_shard_of_a_bundle_is_about_its_own_objects(tmp_path, monkeypatch):
    engine = Scripted(fox=["den, field, moor\n"], tram=["depot, street, quay\n"])
    monkeypatch.setattr(write_backgrounds, "loaded", lambda *_: engine)
    stage = Stage(name="backgrounds", lineage="b", folder=str(tmp_path), count=2, facts={})
    inputs, events = BackgroundInputs(tuple(OBJECTS), PROMPT), []
    work = Work(stage, (0, 1), SPEC.model_copy(update={"per_shard": 1}), inputs, 0, MadeBy("r"))
    assert write_bundle(work, InThisProcess(), events.append) == 6
    assert engine.calls == [["fox"], ["tram"]]
    assert list(read_backgrounds([stage.shard(1)])) == [OBJECTS[1].id]
    assert [event for event in events if isinstance(event, Advanced)] == [Advanced("r", "backgrounds", 1)] * 2


@pytest.fixture
def listed(tmp_path):
    (tmp_path / "names.csv").write_text("name,bg,kind\nfox,,object\nTram,Depot,object\nharbor,,place\nkettle,,object\n")
    return FileSource(path=str(tmp_path / "names.csv"), backgrounds_column="bg", kind_column="kind")


def test_objects_without_backgrounds_are_asked_about_or_all_of_them(listed):
    def asked(**settings):
        spec = ConceptsSpec(sources=(listed,), backgrounds_by=SPEC.model_copy(update=settings))
        return [each.name for each in without_backgrounds(table_of(spec), spec)]

    assert asked() == ["fox", "kettle"]
    assert asked(for_all=True) == ["fox", "Tram", "kettle"]
    nobody = ConceptsSpec(sources=(listed,))
    assert without_backgrounds(table_of(nobody), nobody) == []


def test_objects_of_a_category_may_share_what_is_written_about_it(tmp_path, address):
    (tmp_path / "names.csv").write_text("name,group,bg\nfox,animal,\nheron,animal,Lake\ntram,vehicle,\nwolf,animal,\n")
    source = FileSource(path=str(tmp_path / "names.csv"), category_column="group", backgrounds_column="bg")
    by = SPEC.model_copy(update={"shared_by_category": True})
    spec = ConceptsSpec(sources=(source,), backgrounds_by=by)
    categories = asked_about(table_of(spec), spec)
    assert [each.name for each in categories] == ["animal", "vehicle"]
    engine = Scripted(animal=["zoo, moor, lake\n"], vehicle=["depot, street, quay\n"])
    written = address(stage="backgrounds")
    write_shard(categories, PROMPT, written, engine, by, seed=0)
    ingest_table(address(stage="concepts"), ingest(spec), [written], spec)
    found = {each.name: each.backgrounds for each in read_concepts(address(stage="concepts"))}
    animal = ("zoo", "moor", "lake")
    assert found == {"fox": animal, "heron": ("Lake",), "tram": ("depot", "street", "quay"), "wolf": animal}
    unsorted = spec.model_copy(update={"sources": (source.model_copy(update={"category_column": None}),)})
    with pytest.raises(
        SpecError, match=r"shared_by_category: 3 objects such as 'fox' have no category.*category_column"
    ):
        asked_about(table_of(unsorted), unsorted)


def test_the_table_takes_up_what_was_written_after_what_the_sources_gave(listed, address):
    spec = ConceptsSpec(sources=(listed,), backgrounds_by=SPEC.model_copy(update={"for_all": True}))
    engine = Scripted(fox=["den, field, moor\n"], Tram=["depot, quay, street\n"], kettle=["stove, depot, camp\n"])
    written = address(stage="backgrounds")
    entries = ingest(spec)
    write_shard(without_backgrounds(entries, spec), PROMPT, written, engine, spec.backgrounds_by, seed=0)
    ingest_table(address(stage="concepts"), entries, [written], spec)
    found = {each.name: each.backgrounds for each in read_concepts(address(stage="concepts"))}
    assert found == {
        "fox": ("den", "field", "moor"),
        "Tram": ("Depot", "quay", "street"),
        "harbor": (),
        "kettle": ("stove", "depot", "camp"),
    }
