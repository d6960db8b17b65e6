"""The same words from command line, form and schedule give the same run; what can be refused is refused before work."""

import json
import os
import shutil
from dataclasses import replace

import jsonschema
import pytest
from prefect.utilities.callables import parameter_schema
from tokenizers import Tokenizer
from tokenizers.models import BPE

from data_specs import image_group
from data_specs.errors import SpecError
from data_specs.run import ROOMS, RunSpec
from flows.runs import request
from flows.runs.recipes import knobs
from flows.runs.request import Request, form
from flows.runs.resolve import concepts_room, rooms
from models.encoder.tokenizer import OWN
from support.builders import make_caption, make_group
from support.command_line import free_port
from tasks import storage
from tasks.shards import make_shard

TYPED = {"captions": {"total": 96}, "seed": 3}


def test_what_was_left_out_stays_out_of_the_parameters_that_a_page_shows():
    assert Request("tiny", knobs=TYPED).parameters() == {
        "recipe": "tiny", "since": "concepts", "until": "scores", "captions": {"total": 96}, "seed": 3
    }  # fmt: skip


def test_words_on_the_command_line_and_in_a_form_give_the_same_run(tmp_path):
    typed = Request("tiny", root=str(tmp_path), knobs=TYPED).resolved()
    assert typed == Request("tiny", root=str(tmp_path), knobs=knobs("tiny", ["captions.total=96", "seed=3"])).resolved()


def test_one_share_on_the_command_line_brings_its_neighbours_along():
    turned = knobs("tiny", ["concepts.kinds.object=0.9", "concepts.kinds.place=0.06"])
    assert turned == {"concepts": {"kinds": {"object": 0.9, "place": 0.06, "texture": 0.04}}}


def test_a_run_grows_once_however_often_the_same_asker_retries(tmp_path):
    first = Request("tiny", root=str(tmp_path), grow=64).grown("one")
    assert first.grow is None and first.knobs == {}  # nothing is there yet: the recipe's own size
    run = first.resolved()
    first.begin(run, {room: _Nowhere() for room in ROOMS})
    asked = Request("tiny", root=str(tmp_path), grow=64)
    before = run.spec.captions.total
    for asker, total in (("two", before + 64), ("two", before + 64)):
        grown = asked.grown(asker)
        assert grown.resolved().spec.captions.total == total
        grown.begin(grown.resolved(), {room: _Nowhere() for room in ROOMS})
    assert asked.grown("three").resolved().spec.captions.total == before + 128
    assert Request("tiny", root=str(tmp_path), grow=0).grown("four").resolved().spec.captions.total == before + 64


class _Nowhere:
    folder = "memory://nowhere"


def test_the_root_may_hold_other_peoples_files_and_is_cleaned_of_our_own_alone(tmp_path):
    ours, theirs = tmp_path / f".writable.part-{storage.HOST}-4194999", tmp_path / "data" / "x.zip.part-01-02"
    theirs.parent.mkdir()
    for part in (ours, theirs):
        part.touch()
        os.utime(part, (0, 0))
    storage.require_writable(str(tmp_path))
    asked = Request("tiny", root=str(tmp_path), until="concepts")
    run = asked.resolved()
    asked.begin(run, {"concepts": concepts_room(run.spec, str(tmp_path))})
    assert theirs.exists() and not ours.exists()


def test_rooms_before_the_first_must_be_whole(tmp_path):
    asked = Request("tiny", root=str(tmp_path), since="images")
    with pytest.raises(SpecError, match=r"images of run 'tiny' needs the concepts room.*--since concepts"):
        asked.preflight(asked.resolved())


def test_an_encoder_is_not_judged_by_the_pictures_that_it_learned_from(tmp_path):
    asked = Request("tiny", root=str(tmp_path))
    own = rooms(asked.resolved().spec, str(tmp_path))["images"]
    pixels = tuple(bytes([copy]) for copy in range(4))
    make_shard(own.shards[0], image_group.CONTRACT, lambda: [replace(make_group(make_caption()), pixels=pixels)])
    judged = {"data_sets": [{"use": "image_shards", "name": "own", "path": f"{own.folder}/"}]}
    asked = replace(asked, knobs={"embeddings": judged})
    with pytest.raises(SpecError, match="own at .* holds the very pictures that this run's encoder learns from"):
        asked.preflight(asked.resolved())


def test_a_text_tower_without_a_tokenizer_that_serves_is_refused_before_work(tmp_path):
    def preflight(**knobs: object) -> None:
        turned = {"encoder": {"text_tokenizer": str(tmp_path), **knobs}}
        asked = Request("tiny", root=str(tmp_path), knobs=turned)
        asked.preflight(asked.resolved())

    preflight()  # no text tower, no tokenizer
    with pytest.raises(SpecError, match=r"encoder\.text_tokenizer: no tokenizer\.json to be read in .*give `tiny`"):
        preflight(objective="clip")
    for said, wrong in (("{}", "is not a tokenizer"), (Tokenizer(BPE()).to_str(), r"has no <\|endoftext\|>")):
        (tmp_path / "tokenizer.json").write_text(said)
        with pytest.raises(SpecError, match=wrong):
            preflight(objective="clip")
    shutil.copy(OWN / "tokenizer.json", tmp_path)
    preflight(objective="clip")


def test_a_server_is_asked_before_work_if_there_are_captions_to_make_and_never_otherwise(tmp_path, monkeypatch):
    turned = {"captions": {"engine": "openai", "server": f"http://127.0.0.1:{free_port()}/v1"}}
    asked = Request("tiny", root=str(tmp_path), until="captions", knobs=turned)
    with pytest.raises(SpecError, match="captions.server: nothing answers at"):
        asked.preflight(asked.resolved())
    replace(asked, until="concepts").preflight(asked.resolved())
    writer = {"concepts": {"backgrounds_by": turned["captions"] | {"model": "smollm2-135m", "for_all": True}}}
    backgrounds = Request("tiny", root=str(tmp_path), until="concepts", knobs=writer)
    with pytest.raises(SpecError, match="concepts.backgrounds_by.server: nothing answers at"):
        backgrounds.preflight(backgrounds.resolved())
    monkeypatch.setattr(request, "missing", lambda _: [])
    asked.preflight(asked.resolved())


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"since": "pictures"}, "--since 'pictures' is no room"),
        ({"since": "scores", "until": "images"}, "comes after"),
        ({"name": "a b"}, "letters, digits"),
    ],
)
def test_wrong_words_are_refused_in_one_line(words, said):
    with pytest.raises(SpecError, match=said):
        Request("tiny", **words).resolved()


@pytest.mark.parametrize("room", [*ROOMS, "execution"])
def test_a_form_fills_in_nothing_shows_bounds_and_help_and_takes_what_the_spec_takes(room):
    shown = form(room)
    assert "$ref" not in json.dumps(shown) and "required" not in shown
    assert all("default" not in knob and "anyOf" not in knob for knob in shown["properties"].values())
    jsonschema.validate({}, shown)
    usual = getattr(RunSpec(), room).model_dump(mode="json", exclude_none=True)
    said = {name: value for name, value in usual.items() if name in shown["properties"] and not isinstance(value, bool)}
    jsonschema.validate(said, shown)


def test_a_value_out_of_bounds_is_refused_by_the_form_itself():
    with pytest.raises(jsonschema.ValidationError, match="0 is less than the minimum of 1"):
        jsonschema.validate({"per_shard": 0}, form("captions"))
    with pytest.raises(jsonschema.ValidationError, match="totl"):
        jsonschema.validate({"totl": 3}, form("captions"))


def test_every_parameter_of_the_walk_has_help_and_recipes_and_rooms_are_choices():
    from flows.synclr import synclr

    described = parameter_schema(synclr).model_dump()["properties"]
    assert all(parameter["description"] for parameter in described.values())
    assert "tiny" in described["recipe"]["enum"] and described["until"]["enum"] == list(ROOMS)


def test_what_is_chosen_for_a_switch_is_what_the_spec_understands():
    assert form("captions")["properties"]["offer_other"]["enum"] == ["true", "false"]
    asked = Request("tiny", knobs={"captions": {"offer_other": "false"}})
    assert asked.resolved().spec.captions.offer_other is False
