"""A plan is listed without any engine, is what the stage will ask for, and keeps to the recipe's shares."""

import json
import tracemalloc

from typer.testing import CliRunner

from data_specs.concept import Concept
from data_specs.specs.run import RunSpec
from flows.cli.app import app
from flows.inspect.plan_captions import plan_captions
from flows.runs.recipes import resolve_recipe
from tasks.captions.planning import Planner
from tasks.concepts.ingest import ingest

PLANNED = 100_000


def asked(*words):
    result = CliRunner().invoke(app, ["plan", "captions", *words])
    assert result.exit_code == 0, result.output
    return result.stdout


def chi_square(found, expected):
    assert found.keys() <= expected.keys()
    return sum((found.get(sort, 0) - mean) ** 2 / mean for sort, mean in expected.items())


def leaves(tree):
    return {(kind, strategy): count for kind, of_kind in tree.items() for strategy, count in of_kind.items()}


def test_shares_of_planned_captions_are_the_recipes():
    summary = json.loads(asked("tiny", "--count", str(PLANNED), "--summary", "--json"))
    assert summary["planned"] == PLANNED and "plans" not in summary
    mean = summary["expected"]
    for part in ("kinds", "categories"):
        assert sum(summary[part].values()) == PLANNED
        # 99.99 % of samples of a true model stay under n + 4 sqrt(2 n) + 8 for n degrees of freedom.
        freedom = len(mean[part]) - 1
        assert chi_square(summary[part], mean[part]) < freedom + 4 * (2 * freedom) ** 0.5 + 8
    found, wanted = leaves(summary["strategies"]), leaves(mean["strategies"])
    assert sum(found.values()) == PLANNED
    assert chi_square(found, wanted) < len(wanted) + 4 * (2 * len(wanted)) ** 0.5 + 8
    shares = resolve_recipe("tiny").captions.strategies
    assert wanted["object", "relation"] / mean["kinds"]["object"] - shares["relation"] < 1e-9


def test_a_listed_plan_is_what_the_stage_asks_for():
    spec = resolve_recipe("tiny", {"captions": {"per_shard": 6}, "seed": 3})
    concepts = [each for each in ingest(spec.concepts) if isinstance(each, Concept)]
    planner = Planner(concepts, spec.captions, seed=3)
    listed = plan_captions(spec, head=20)["plans"]
    assert [(each["shard"], each["slot"]) for each in listed[:8]] == [*((0, slot) for slot in range(6)), (1, 0), (1, 1)]
    for each in listed:
        plan = planner.plan(each["shard"], each["slot"])
        assert each["concept_id"] == plan.concept.id and each["background"] == plan.background
        assert len(each["examples"]) == 3 and all(line in each["prompt"] for line in each["examples"])


def test_a_listed_chat_is_its_turns_and_its_plan_that_of_a_text():
    texts, chats = (
        json.loads(asked("tiny", "--head", "5", "--json", *words))["plans"]
        for words in ([], ["--set=captions.chat=true"])
    )
    for text, chat in zip(texts, chats, strict=True):
        assert [turn["role"] for turn in chat["prompt"]] == ["system", *["user", "assistant"] * 3, "user"]
        assert text["prompt"].endswith(f"\n\n{chat['prompt'][-1]['text']} =>")
        assert {**text, "prompt": None} == {**chat, "prompt": None}
    assert chats[0]["prompt"][-1]["text"] in asked("tiny", "--head", "5", "--set=captions.chat=true")


def test_what_is_listed_does_not_depend_on_how_many_are():
    assert plan_captions(RunSpec(), head=40)["plans"][:5] == plan_captions(RunSpec(), head=5)["plans"]


def test_people_see_a_table_and_a_setting_that_does_not_exist_is_named():
    assert "relation" in asked("tiny", "--head", "30")
    assert "category" in asked("tiny", "--count", "500")
    refused = CliRunner().invoke(app, ["plan", "captions", "tiny", "--set", "captions.totl=3"])
    assert refused.exit_code != 0 and "did you mean 'captions.total'" in str(refused.exception)


def test_memory_does_not_grow_with_the_number_of_plans():
    def peak(count):
        tracemalloc.start()
        plan_captions(resolve_recipe("tiny"), summary_of=count)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    peak(10)  # what is read once
    assert peak(20_000) < peak(1_000) + 300_000, "19,000 plans take 5 MB"
