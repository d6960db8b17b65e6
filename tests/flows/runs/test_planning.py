"""A run is resolved once, before any work; what can be refused is refused then, and nothing of it is worked out again."""

import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from tokenizers import Tokenizer
from tokenizers.models import BPE

from data_specs import image_group
from data_specs.errors import SpecError
from flows.execution.inputs import caption_inputs, concept_entries
from flows.runs import planning, preflight, recipes
from flows.runs.lineages import stages_under
from flows.runs.plan import RunPlan, read_plan, read_sealed
from flows.runs.planning import plan_run, resolve_plan
from flows.runs.request import Request
from flows.runs.status import status
from models.encoder.tokenizer import OWN
from support.builders import make_caption, make_group
from support.command_line import free_port
from support.image_files import image_folder
from tasks import storage
from tasks.embeddings.benchmarks import benchmark_of, benchmark_shards, seal_part
from tasks.shards import make_shard

FAKES = {"captions": {"engine": "fake"}, "images": {"engine": "fake"}}


def request(tmp_path, since="concepts", until="scores", grow=None, **settings) -> Request:
    return Request("tiny", None, str(tmp_path), since, until, grow, FAKES | settings)


def test_a_run_grows_once_however_often_the_same_asker_retries(tmp_path):
    before = plan_run(request(tmp_path, grow=64), "one").spec.captions.total
    assert before == resolve_plan(request(tmp_path)).spec.captions.total  # nothing is there yet: the recipe's own size
    assert plan_run(request(tmp_path, grow=64), "one").spec.captions.total == before, (
        "the first may be tried again, too"
    )
    for asker, total in (("two", before + 64), ("two", before + 64), ("three", before + 128)):
        assert plan_run(request(tmp_path, grow=64), asker).spec.captions.total == total
    assert plan_run(request(tmp_path, grow=0), "four").spec.captions.total == before + 128
    late = plan_run(request(tmp_path, grow=64), "two").spec.captions.total
    assert late == before + 128, "an old run that is tried again makes nothing smaller"


def test_a_name_that_a_run_of_another_recipe_has_is_refused_and_that_run_stays_as_it_is(tmp_path):
    """Its plan would be overwritten, and what it sealed would look lost."""
    plan_run(request(tmp_path), "me")
    other = tmp_path / "other.yaml"
    other.write_text("seed: 7\nconcepts: {sources: [{use: tiny_world}]}\n")
    with pytest.raises(SpecError, match=r"run 'tiny' is of recipe 'tiny', not '.*other.yaml': give this one a `name`"):
        plan_run(replace(request(tmp_path), recipe=str(other), name="tiny"), "me")
    assert read_plan(str(tmp_path), "tiny").spec.seed == 0
    assert plan_run(replace(request(tmp_path), recipe=str(other)), "me").name == "other"


def test_other_settings_of_a_recipe_and_a_copy_of_it_are_the_same_run(tmp_path):
    plan_run(request(tmp_path), "me")
    assert plan_run(request(tmp_path, seed=3), "me").spec.seed == 3
    copy = tmp_path / "tiny.yaml"
    copy.write_text(
        storage.read_bytes(str(Path(recipes.__file__).parents[2] / "data_specs/recipes/tiny.yaml")).decode()
    )
    assert plan_run(replace(request(tmp_path, seed=3), recipe=str(copy)), "me").name == "tiny"


def test_the_root_may_hold_other_peoples_files_and_is_cleaned_of_our_own_alone(tmp_path):
    ours, theirs = tmp_path / f".writable.part-{storage.HOST}-4194999", tmp_path / "data" / "x.zip.part-01-02"
    theirs.parent.mkdir()
    for part in (ours, theirs):
        part.touch()
        os.utime(part, (0, 0))
    plan_run(request(tmp_path, until="concepts"), "me")
    assert theirs.exists() and not ours.exists()


def test_stages_before_the_first_must_be_whole_and_a_refused_request_changes_nothing(tmp_path):
    with pytest.raises(SpecError, match=r"images of run 'tiny' needs the concepts stage.*--since concepts"):
        plan_run(request(tmp_path, since="images"), "me")
    assert not (tmp_path / "runs").exists()


def test_an_encoder_is_not_judged_by_the_images_that_it_learned_from(tmp_path):
    own = resolve_plan(request(tmp_path)).stages["images"]
    pixels = tuple(bytes([copy]) for copy in range(4))
    make_shard(own.shard(0), image_group.CONTRACT, lambda: [replace(make_group(make_caption()), pixels=pixels)])
    judged = {"data_sets": [{"use": "image_shards", "name": "own", "path": f"{own.folder}/"}]}
    with pytest.raises(SpecError, match="own at .* holds the very images that this run's encoder is trained on"):
        plan_run(request(tmp_path, embeddings=judged), "me")


def test_a_text_tower_without_a_tokenizer_that_serves_is_refused_before_work(tmp_path):
    (own := tmp_path / "own").mkdir()

    def plan(**settings: object) -> None:
        plan_run(request(tmp_path, encoder={"text_tokenizer": str(own), **settings}), "me")

    plan()  # no text tower, no tokenizer
    with pytest.raises(SpecError, match=r"encoder\.text_tokenizer: no tokenizer\.json to be read in .*give `tiny`"):
        plan(objective="clip")
    for said, wrong in (("{}", "is not a tokenizer"), (Tokenizer(BPE()).to_str(), r"has no <\|endoftext\|>")):
        (own / "tokenizer.json").write_text(said)
        with pytest.raises(SpecError, match=wrong):
            plan(objective="clip")
    shutil.copy(OWN / "tokenizer.json", own)
    plan(objective="clip")


def test_a_server_is_asked_before_work_if_there_are_captions_to_make_and_never_otherwise(tmp_path, monkeypatch):
    asks = {"captions": {"engine": "openai", "server": f"http://127.0.0.1:{free_port()}/v1"}}
    with pytest.raises(SpecError, match="captions.server: nothing answers at"):
        plan_run(request(tmp_path, until="captions", **asks), "me")
    plan_run(request(tmp_path, until="concepts", **asks), "me")
    writer = {"concepts": {"backgrounds_by": asks["captions"] | {"model": "smollm2-135m", "for_all": True}}}
    with pytest.raises(SpecError, match="concepts.backgrounds_by.server: nothing answers at"):
        plan_run(request(tmp_path, until="concepts", **writer), "me")
    monkeypatch.setattr(preflight, "missing", lambda _: [])
    plan_run(request(tmp_path, until="captions", **asks), "me")


@pytest.fixture
def listed(tmp_path):
    """A recipe that reads names and prompts of the user's own."""
    (tmp_path / "names.txt").write_text("fox\nheron\n")
    shutil.copytree("data_specs/prompts/small", tmp_path / "prompts")
    source = {"use": "file", "path": str(tmp_path / "names.txt")}
    return {
        "concepts": {"sources": [source]},
        "captions": {"engine": "fake", "prompts": str(tmp_path / "prompts"), "require_background": False},
    }


def test_a_list_or_prompt_that_is_edited_after_planning_is_refused_by_the_stage_that_has_still_to_read_it(
    tmp_path, listed
):
    plan = plan_run(request(tmp_path / "root", **listed), "me")
    assert len(concept_entries(plan)) == 2 and caption_inputs(plan).prompts
    (tmp_path / "names.txt").write_text("fox\nheron\notter\n")
    with pytest.raises(SpecError, match="list was edited after run 'tiny' was planned: run it again"):
        concept_entries(plan)
    caption_inputs(plan)  # reads the sealed table, and not the list
    prompts = tmp_path / "prompts" / "object.yaml"
    prompts.write_text(prompts.read_text().replace("A photo of", "A picture of"))
    with pytest.raises(SpecError, match=r"captions\.prompts .* was edited"):
        caption_inputs(plan)


def test_a_plan_is_read_back_as_it_was_wherever_its_root_lies_and_whatever_became_of_its_lists(tmp_path, listed):
    plan = plan_run(request(tmp_path / "root", **listed), "me")
    (tmp_path / "names.txt").unlink()
    shutil.move(tmp_path / "root", tmp_path / "moved")
    read = read_plan(str(tmp_path / "moved"), "tiny")
    assert {name: stage.lineage for name, stage in read.stages.items()} == {
        name: stage.lineage for name, stage in plan.stages.items()
    }
    assert all(stage.folder.startswith(str(tmp_path / "moved")) for stage in read.stages.values())
    assert [row.lineage for row in status(read.root, "tiny")] == [
        stage.lineage for name, stage in plan.stages.items() if name != "selection"
    ]


def test_a_recipe_that_was_edited_since_shows_as_stale_stages(tmp_path, listed):
    plan_run(request(tmp_path / "root", **listed), "me")
    before = [row.lineage for row in status(str(tmp_path / "root"), "tiny")]
    (tmp_path / "names.txt").write_text("fox\n")
    after = [row.lineage for row in status(str(tmp_path / "root"), "tiny")]
    assert all(one != other for one, other in zip(before, after, strict=True))


def test_a_record_that_cannot_be_read_counts_as_none(tmp_path):
    plan = plan_run(request(tmp_path), "me")
    for text in ("{", "[]", '{"captions": {"name": "captions"}}'):
        (tmp_path / "runs" / "tiny" / "stages.json").write_text(text)
        assert read_sealed(plan) == {} and len(status(str(tmp_path), "tiny")) == 6
        assert stages_under(str(tmp_path), "captions") == []


def test_a_plan_that_comes_from_elsewhere_is_checked_too(tmp_path):
    plan = resolve_plan(request(tmp_path))
    sent = plan.model_dump(mode="json")
    assert RunPlan.model_validate(sent) == plan
    for words in ({"since": "scores", "until": "images"}, {"until": "lunch"}):
        with pytest.raises(ValueError, match="the order is concepts"):
            RunPlan.model_validate(sent | words)
    with pytest.raises(SpecError, match="cannot write to root"):
        planning.begin_plan(plan.model_copy(update={"root": "/proc/nowhere"}))


def test_a_request_is_resolved_once(tmp_path, monkeypatch):
    calls = []
    resolve = planning.resolve_stages
    monkeypatch.setattr(planning, "resolve_stages", lambda *given: calls.append(1) or resolve(*given))
    plan = plan_run(request(tmp_path), "me")
    read_plan(plan.root, plan.name)
    assert len(calls) == 1


def test_what_is_left_out_of_a_benchmark_is_told_before_any_work_and_what_is_no_benchmark_is_refused(tmp_path):
    pets = {"use": "image_folder", "name": "pets", "path": str(image_folder(tmp_path / "pets"))}
    (tmp_path / "pets" / "train" / "cat" / "._0.jpg").touch()
    settings = {"embeddings": {"data_sets": [pets]}}
    told = []
    plan_run(request(tmp_path / "root", **settings), "me", [told.append])
    assert [event.text for event in told] == ["pets: files are left out: 1 hidden: train/cat/._0.jpg"]
    plan_run(request(tmp_path / "root", until="encoder", **settings), "me", [told.append])
    plan = plan_run(request(tmp_path / "root", **settings), "me")
    benchmark = benchmark_of(plan.spec.embeddings, "pets", 0, plan.stages["embeddings"].facts["data_sets"])
    for shard in benchmark_shards(plan.root, benchmark):
        seal_part(benchmark, shard)
    plan_run(request(tmp_path / "root", **settings), "me", [told.append])
    assert len(told) == 1, "neither where nothing is embedded, nor of images that are sealed"
    for path in (tmp_path / "pets").rglob("*.jpg"):
        path.write_bytes(b"<html>404 of another length</html>")
    with pytest.raises(SpecError, match="pets: 12 of 12 images tried were rejected"):
        plan_run(request(tmp_path / "root", **settings), "me")
