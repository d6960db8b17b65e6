"""Backgrounds are written once for the same names, model and settings, whatever else a recipe says; a killed run goes on."""

import json
import os
import signal
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from data_specs.concept import from_row
from data_specs.errors import SpecError
from data_specs.model_identity import ModelIdentity
from data_specs.shard import ShardAddress
from data_specs.specs.concepts import ConceptsSpec
from data_specs.specs.run import RunSpec
from flows.cli.app import app
from flows.inspect.show import show
from flows.inspect.trace import lines, trace
from flows.inspect.verify import verify
from flows.runs.recipes import resolve_recipe
from flows.runs.resolve import resolve_concepts, resolve_stages, write_facts
from flows.runs.status import status
from models.captioner.fake import FakeCaptioner
from support.command_line import CommandLine
from support.completions_server import MODEL, completions
from tasks.captions.compose import CaptionInputs, compose_shard
from tasks.captions.prompt_files import load_prompts
from tasks.captions.unsafe_words import load_unsafe_words
from tasks.concepts.background_prompts import load_prompt
from tasks.concepts.ingest import asked_about, ingest, ingest_table, read_concepts, table_of
from tasks.concepts.write_backgrounds import write_shard
from tasks.shards import missing, read_rejects, read_rows

NAMES = ["fox", "tram", "otter", "kettle", "heron", "canoe", "lantern", "tractor"]
ONE = {"workers": 1}
BARE = str(Path(__file__).parents[2] / "tasks" / "concepts" / "bare_places.yaml")


@pytest.fixture
def sources(tmp_path):
    (tmp_path / "names.txt").write_text("\n".join(NAMES) + "\n")
    return [{"use": "file", "path": str(tmp_path / "names.txt")}]


def described(sources, **settings):
    by = {"engine": "fake", "model": "any", "per_concept": 2, "per_shard": 3, "prompt": BARE} | settings
    return RunSpec.model_validate({"concepts": {"sources": sources, "backgrounds_by": by}})


class Gazetteer:
    """Names places that nobody has heard of."""

    model = ModelIdentity("gazetteer", "0")

    def complete(self, asks):
        return [f"place {ask.seed % 97}, spot {ask.seed % 89}\n" for ask in asks]


def stages(spec, root):
    return resolve_stages(spec, root, table_of(spec.concepts))


def backgrounds_stage(spec, root):
    return resolve_concepts(spec, root, table_of(spec.concepts)).get("backgrounds")


def concepts_stage(spec, root):
    return resolve_concepts(spec, root, table_of(spec.concepts))["concepts"]


def write_table(spec, root):
    """The stage of backgrounds and the table that takes them up, without Prefect and without an engine."""
    objects = asked_about(table_of(spec.concepts), spec.concepts)
    stage, table = backgrounds_stage(spec, root), concepts_stage(spec, root)
    for each in (stage, table):
        write_facts(each)
    by = spec.concepts.backgrounds_by
    for address in stage.shards():
        about = objects[address.index * 3 : address.index * 3 + 3]
        write_shard(about, load_prompt(by.prompt), address, Gazetteer(), by, seed=0)
    ingest_table(table.table, ingest(spec.concepts), list(stage.shards()), spec.concepts)
    return read_concepts(table.table)


def test_a_caption_is_traced_to_the_model_that_wrote_its_background(tmp_path, sources):
    root, engines = (
        str(tmp_path / "root"),
        {"captions": {"engine": "fake", "per_shard": 8}, "images": {"engine": "fake"}},
    )
    spec = RunSpec.model_validate(described(sources).model_dump() | engines)
    write_table(spec, root)
    captions = stages(spec, root)["captions"]
    write_facts(captions)
    inputs = CaptionInputs(
        concepts_stage(spec, root).table, load_prompts(spec.captions.prompts), load_unsafe_words(None)
    )
    compose_shard(inputs, captions.shard(0), FakeCaptioner(), spec.captions, seed=0)
    rows = read_rows(captions.shard(0)).to_pylist()
    with_place = next(row for row in rows if row["strategy"] == "background")
    traced = trace(root, with_place["id"])
    assert traced["background"]["text"] == with_place["background"]
    assert (
        traced["background"]["model"]["id"] == "gazetteer" and traced["background"]["concept"] == with_place["concept"]
    )
    assert traced["background"]["shard"]["shard"].startswith("backgrounds-00000")
    assert any("written by gazetteer at 0" in line for line in lines(traced))
    without = next(row for row in rows if row["strategy"] != "background")
    assert trace(root, without["id"])["background"] is None


def test_the_lineage_knows_names_model_prompt_settings_and_seed_and_no_weights(sources):
    spec = described(sources)
    stage, table = backgrounds_stage(spec, "/root"), concepts_stage(spec, "/root")
    assert stage.count == 3 and stage.folder == f"/root/backgrounds/{stage.lineage}"
    assert table.facts["backgrounds"] == stage.lineage
    weighed = spec.model_copy(update={"concepts": spec.concepts.model_copy(update={"kinds": {"object": 1.0}})})
    assert backgrounds_stage(weighed, "/root") == stage and concepts_stage(weighed, "/root").lineage != table.lineage
    more = Path(sources[0]["path"]).with_name("more.txt")
    more.write_text("harbor\n")
    with_place = [*sources, {"use": "file", "path": str(more), "kind": "place"}]
    assert backgrounds_stage(described(with_place), "/root") == stage  # no object came along
    others = [
        described([*with_place[:1], with_place[1] | {"kind": "object"}]),
        described(sources, temperature=0.5),
        described(sources, per_concept=3),
        described(sources, prompt="backgrounds"),
        spec.model_copy(update={"seed": 1}),
    ]
    assert len({backgrounds_stage(each, "/root").lineage for each in [spec, *others]}) == 6


def test_a_recipe_without_a_model_for_them_has_no_such_stage_and_its_lineage_is_as_it_was(sources):
    spec = RunSpec.model_validate({"concepts": {"sources": sources}})
    assert backgrounds_stage(spec, "/root") is None
    assert "backgrounds" not in concepts_stage(spec, "/root").facts
    assert "backgrounds_by" not in concepts_stage(spec, "/root").facts["spec"]
    # The Tiny World's objects all have backgrounds: there is nobody to ask about.
    assert backgrounds_stage(described([{"use": "tiny_world"}]), "/root") is None
    untouched = ConceptsSpec.model_validate({"backgrounds_by": {}})  # as forms send it
    assert untouched.backgrounds_by is None


def test_what_is_wrong_with_the_model_or_the_prompt_is_said_before_any_work(sources):
    with pytest.raises(SpecError, match=r"concepts.backgrounds_by.*model"):
        resolve_recipe("tiny", {"concepts": {"backgrounds_by": {"per_concept": 3}}})
    with pytest.raises(SpecError, match=r"concepts.backgrounds_by.model: 'no/model' .*revision"):
        backgrounds_stage(described(sources, engine="vllm", model="no/model"), "/root")
    with pytest.raises(SpecError, match="concepts.backgrounds_by.prompt: 'nowhere.yaml'"):
        backgrounds_stage(described(sources, prompt="nowhere.yaml"), "/root")


def test_a_plan_waits_for_what_is_not_written_yet_and_then_takes_it_up(tmp_path, sources):
    spec, root = described(sources), str(tmp_path / "root")
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(json.dumps(spec.model_dump(mode="json")))

    def planned():
        result = CliRunner().invoke(app, ["plan", "captions", str(recipe), "--root", root, "--count", "400", "--json"])
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout)

    before = planned()
    assert "backgrounds of 8 objects" in before["note"] and "background" not in before["strategies"]["object"]
    write_table(spec, root)
    after = planned()
    assert "note" not in after and after["strategies"]["object"]["background"] > 100


@pytest.fixture(params=["stand-in server", pytest.param("smollm2", marks=pytest.mark.long(120))])
def language_model(request):
    """Settings of one that takes its time, so that there is a middle to be killed in."""
    if request.param == "smollm2":
        yield {"model": "smollm2-135m", "min_kept": 0.2, "max_tokens": 40}
        return
    with completions() as server:
        server.slow = 0.3
        # Every fifth answer or so is empty, and refused.
        server.say = lambda asked: (
            f"in place {asked['seed'] % 97}, on spot {asked['seed'] % 89}\n" if asked["seed"] % 5 else "\n"
        )
        yield {"engine": "openai", "model": MODEL, "revision": "1", "server": server.url, "concurrency": 1}


@pytest.mark.long(60)
def test_a_killed_run_goes_on_and_the_same_names_are_never_asked_about_again(tmp_path, sources, language_model):
    synclr = CommandLine(tmp_path / "root", tmp_path / "prefect")
    by = {"per_concept": 2, "per_shard": 2} | language_model
    recipe = tmp_path / "written.yaml"
    recipe.write_text(
        json.dumps({"extends": "tiny", "concepts": {"sources": sources, "backgrounds_by": by}, "execution": ONE})
    )
    no_engines = ("--set", "captions.engine=fake", "--set", "images.engine=fake")
    words = ("run", str(recipe), "--until", "concepts", *no_engines)
    first = synclr.start(*words, start_new_session=True)
    stage = backgrounds_stage(resolve_recipe(str(recipe)), str(synclr.root))
    sealed = Path(stage.shard(0).file("json"))
    for _ in range(4000):
        if sealed.exists() or first.poll() is not None:
            break
        time.sleep(0.1)
    os.killpg(first.pid, signal.SIGKILL)
    first.communicate()
    assert sealed.exists() and not Path(stage.shard(stage.count - 1).file("json")).exists()
    made = sealed.stat().st_mtime_ns

    [table] = synclr.json(*words)["stages"]
    assert sealed.stat().st_mtime_ns == made
    written = [row for address in stage.shards() for row in read_rows(address).to_pylist()]
    refused = [each for address in stage.shards() for each in read_rejects(address)]
    assert {row["model"]["id"] for row in written} == {language_model["model"]} and refused
    address = ShardAddress(folder=table["folder"], stage="concepts", lineage=table["lineage"], index=0)
    for concept in (from_row(row) for row in read_rows(address).to_pylist()):
        assert list(concept.backgrounds) == [row["text"] for row in written if row["concept_id"] == concept.id]

    root = str(synclr.root)
    assert verify(root, "written") == (5, [])
    [shown] = show(root, "backgrounds-000000")["records"]
    assert shown["records"][0]["seed"] == written[0]["seed"]
    assert shown["rejects"] == [
        {"key": r.key, "reason": r.reason, "text": r.text} for r in read_rejects(stage.shard(0))
    ]
    assert next(row for row in status(root, "written") if row.stage == "concepts").finished

    weighed = resolve_recipe(
        str(recipe), {"concepts": {"sources": sources, "backgrounds_by": by, "kinds": {"object": 1.0}}}
    )
    assert concepts_stage(weighed, root).lineage != table["lineage"]
    assert missing(backgrounds_stage(weighed, root)) == []  # so nobody is asked
