"""`paper` takes its names from SynCLR's own files, by the rules and probabilities of the released script."""

import json
import math
from collections import Counter, defaultdict

import pytest
from typer.testing import CliRunner

from data_specs.concept import Concept, from_row
from data_specs.errors import SpecError
from data_specs.rejection import Rejection
from data_specs.shard import ShardAddress
from flows.cli.app import app
from flows.runs.recipes import resolve_recipe
from support.command_line import CommandLine
from support.synclr_lists import IMAGENET, LABELS, PLACES, SHARED, write_lists
from tasks.concepts.ingest import ingest
from tasks.shards import read_rejects, read_rows

KINDS = {"object": 0.91, "place": 0.088, "texture": 0.002}
CATEGORIES = {"food": 0.05, "cars": 0.06, "aircraft": 0.06, "flowers": 0.03, "in1k": 0.504, "in21k": 0.296}
NO_ENGINES = ("--set", "captions.engine=fake", "--set", "images.engine=fake")


def check_table(concepts):
    """Each share by itself, from the lists as they are written in `synclr_lists`."""
    of_kind, of_category, named = Counter(), defaultdict(list), {}
    for each in concepts:
        of_kind[each.kind] += each.weight
        of_category[each.kind, each.category].append(each)
        named[each.kind, each.name] = each
    assert of_kind == pytest.approx(KINDS)
    for category, share in CATEGORIES.items():
        members = of_category["object", category]
        assert [each.weight for each in members] == pytest.approx([0.91 * share / len(members)] * len(members))
    assert math.isclose(math.fsum(each.weight for each in concepts), 1)

    def names(kind, category):
        return [each.name for each in of_category[kind, category]]

    assert names("object", "food") == LABELS["food101"]
    assert names("object", "cars") == [f"{name} car" for name in LABELS["cars"]]
    assert names("object", "aircraft") == [f"{name} aircraft" for name in LABELS["aircraft"]]
    assert names("object", "in1k") == ["tench", "missile", "sunglasses", "Granny Smith"]  # pizza is food's
    assert names("object", "in21k") == ["accordion", "Bengal", "quoll"]  # tench is ImageNet-1k's
    assert names("place", "place") == ["abbey", "airfield", "church", "jail cell"]
    assert names("texture", "texture") == LABELS["dtd"]
    backgrounds = {name: each.backgrounds for (_, name), each in named.items()}
    assert backgrounds["apple pie"] == tuple(SHARED["food"])  # one list a data set, as it is written
    assert backgrounds["707-320 aircraft"] == tuple(SHARED["airplanes"])
    assert backgrounds["missile"] == tuple(each.lower() for each in IMAGENET["missile"])  # ImageNet's are lower-cased
    assert backgrounds["pizza"] == (*SHARED["food"], "pizzeria")
    assert backgrounds["tench"] == ("muddy river", "fishing net", "Pond")
    assert not any(each.backgrounds for each in concepts if each.kind != "object")


def check_mergers(rejects):
    merged = Counter(each.text.split(":")[0].split("'")[1] for each in rejects if each.reason == "merged")
    assert merged == Counter(
        {"missile": 1, "sunglasses": 1, "pizza": 1, "tench": 1, "/c/church/outdoor 92": 1, "abbey": 1}
        | {"church indoor": 1, "church outdoor": 1, "jail cell": 1}
    )
    said = next(each.text for each in rejects if "'pizza'" in each.text)
    assert said == (
        "'pizza' of labels.json:imagenet is 'pizza' of labels.json:food101: the same name; "
        "its category 'in1k' is dropped"
    )


def test_the_papers_lists_become_the_scripts_table(tmp_path, monkeypatch):
    write_lists(tmp_path)
    monkeypatch.chdir(tmp_path)
    spec = resolve_recipe("paper").concepts
    assert (spec.kinds, spec.categories) == (KINDS, CATEGORIES)
    outcomes = ingest(spec)
    concepts = [each for each in outcomes if isinstance(each, Concept)]
    rejects = [each for each in outcomes if not isinstance(each, Concept)]
    check_table(concepts)
    check_mergers(rejects)
    sampled = {"imagenet", "food101", "cars", "aircraft", "flowers", "dtd", "sun397"}
    entries = sum(len(names) for key, names in LABELS.items() if key in sampled) + len(PLACES) + 4
    assert len(outcomes) == entries  # nothing lost


def test_the_papers_plan_keeps_to_the_scripts_shares(tmp_path, monkeypatch):
    write_lists(tmp_path)
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, ["plan", "captions", "paper", "--count", "20000", "--summary", "--json"])
    assert result.exit_code == 0, result.output
    summary = json.loads(result.stdout)
    wanted = {category: 0.91 * share for category, share in CATEGORIES.items()} | {"place": 0.088, "texture": 0.002}
    for category, share in wanted.items():
        assert abs(summary["categories"][category] - 20_000 * share) < 5 * math.sqrt(20_000 * share * (1 - share))


def test_what_merged_with_what_and_why_is_a_table(tmp_path, monkeypatch):
    write_lists(tmp_path)
    with (tmp_path / "lists" / "places.txt").open("a") as places:
        places.write("/x/" + "x" * 10_000 + " 999\n")
    monkeypatch.chdir(tmp_path)

    def asked(*words):
        result = CliRunner().invoke(app, ["plan", "concepts", "paper", *words])
        assert result.exit_code == 0, result.output
        return result.stdout

    told = json.loads(asked("--json"))
    check_mergers([Rejection(**each) for each in told["rejects"]])
    assert told["rejected"] == {"merged": 9, "too_long": 1} and told["to_write"] == 0
    assert told["accepted"] == len(told["concepts"]) == sum(row["names"] for row in told["categories"])
    food = next(row for row in told["categories"] if row["category"] == "food")
    assert food["share"] == pytest.approx(0.91 * 0.05) and food["names"] == food["with_backgrounds"] == 2
    shown = asked("--head", "3")
    assert "merged: 9" in shown and "and 6 more" in shown and "4.55%" in shown
    assert "'pizza' of labels.json:imagenet is 'pizza' of labels.json:food101: the same name" in asked()


def test_without_its_lists_the_paper_recipe_names_every_file_that_is_missing_and_where(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SpecError) as caught:
        ingest(resolve_recipe("paper").concepts)
    said = str(caught.value)
    for name in ("labels.json", "ds_background_dict.json", "imgnet_background_dict.json", "places.txt"):
        assert said.count(f"'lists/{name}'") == 1
    assert str(tmp_path) in said and "docs/concepts.md" in said and "\n" not in said
    own = resolve_recipe("paper", {"concepts": {"sources": [{"use": "tiny_world"}]}}).concepts
    with pytest.raises(SpecError, match=r"no object has the category 'cars'.*concepts.categories={}"):
        ingest(own)
    assert ingest(own.model_copy(update={"categories": {}}))


@pytest.mark.slow(30)
def test_the_papers_concepts_stage_is_made_from_the_command_line(tmp_path, prefect_server):
    synclr = CommandLine(tmp_path / "root", tmp_path / "prefect", prefect_server)
    words = ("run", "paper", "--until", "concepts", "--json", *NO_ENGINES)
    asked = synclr.start(*words, cwd=tmp_path)
    _, said = asked.communicate(timeout=120)
    assert asked.returncode == 2 and "lists/labels.json" in said and not (tmp_path / "root" / "concepts").exists()
    write_lists(tmp_path)
    asked = synclr.start(*words, cwd=tmp_path)
    out, said = asked.communicate(timeout=300)
    assert asked.returncode == 0, said
    [stage] = json.loads(out)["stages"]
    table = ShardAddress(folder=stage["folder"], stage="concepts", lineage=stage["lineage"], index=0)
    check_table([from_row(row) for row in read_rows(table).to_pylist()])
    check_mergers(read_rejects(table))
    verified = synclr.start("verify", "paper", "--json", cwd=tmp_path)
    assert json.loads(verified.communicate(timeout=120)[0]) == {"shards": {"paper": 1}, "faults": []}
