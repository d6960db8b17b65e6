import math
from collections import Counter
from dataclasses import replace

import pytest

from data_specs.errors import SpecError
from data_specs.prompt_set import RELATIONS
from data_specs.specs.captions import CaptionsSpec
from support.concept_tables import made_up, small_table
from tasks.captions.plan_summary import expected
from tasks.captions.planning import Planner, ask_seed, examples_for
from tasks.captions.prompt_files import load_prompts

SPEC = CaptionsSpec()
PLANS = 20_000


@pytest.fixture(scope="module")
def plans():
    planner = Planner(small_table(), SPEC, seed=0)
    return [planner.plan(slot // 100, slot % 100) for slot in range(PLANS)]


def assert_share(count, total, share):
    """Within five standard deviations of a binomial: a false alarm in a million tests."""
    assert abs(count - total * share) < 5 * math.sqrt(total * share * (1 - share))


def test_kinds_are_drawn_by_weight(plans):
    kinds = Counter(plan.concept.kind for plan in plans)
    for kind, share in {"object": 0.9, "place": 0.08, "texture": 0.02}.items():
        assert_share(kinds[kind], PLANS, share)


def test_strategies_of_objects_are_drawn_by_the_recipes_shares(plans):
    objects = [plan for plan in plans if plan.concept.kind == "object"]
    found = Counter(plan.strategy for plan in objects)
    for strategy, share in SPEC.strategies.items():
        assert_share(found[strategy], len(objects), share)


def test_relations_and_second_nouns_are_each_as_likely(plans):
    relations = [plan for plan in plans if plan.strategy == "relation"]
    named = Counter(plan.relation for plan in relations)
    others = Counter(plan.other for plan in relations)
    assert set(named) == set(RELATIONS)
    for count in named.values():
        assert_share(count, len(relations), 1 / len(RELATIONS))
    for count in others.values():
        assert_share(count, len(relations), 1 / 5)
    assert all(plan.other != plan.concept.name for plan in relations)


def test_places_and_textures_are_only_named(plans):
    for plan in plans:
        if plan.concept.kind != "object":
            assert (plan.strategy, plan.background, plan.relation) == ("concept", None, None)
            assert plan.prompt_kind == plan.concept.kind


def test_a_plan_depends_on_its_slot_alone(plans):
    assert Planner(small_table(), SPEC, seed=0).plan(150, 7) == plans[15_007]
    assert Planner(small_table(), SPEC, seed=1).plan(150, 7) != plans[15_007]


def test_examples_are_three_different_ones_and_change_with_the_attempt(plans):
    prompts = load_prompts("synclr")
    for plan in plans[:200]:
        first, second = examples_for(plan, prompts, 0, 0), examples_for(plan, prompts, 0, 1)
        assert len(set(first)) == 3 and first == examples_for(plan, prompts, 0, 0)
        assert set(first) <= set(prompts.pool(plan.prompt_kind).examples)
        assert first != second or plan.prompt_kind == "texture"
    assert ask_seed(plans[0], 0, 0) != ask_seed(plans[0], 0, 1)


def test_an_object_without_backgrounds_is_named():
    planner = Planner([made_up("fox", backgrounds=())], CaptionsSpec(strategies={"background": 1.0}), seed=0)
    assert {planner.plan(0, slot).strategy for slot in range(20)} == {"concept"}


def test_backgrounds_may_be_any_place_of_the_table_for_every_object():
    places = [made_up(name, "place", 0.1, ()) for name in ("harbor", "abbey", "desert")]
    table = [made_up("fox", weight=0.4), made_up("tram", weight=0.3, backgrounds=()), *places]
    spec = CaptionsSpec(backgrounds="random_place", strategies={"background": 1.0})
    planner = Planner(table, spec, seed=0)
    plans = [plan for slot in range(PLANS) if (plan := planner.plan(0, slot)).concept.kind == "object"]
    drawn = Counter(plan.background for plan in plans)
    assert set(drawn) == {"abbey", "desert", "harbor"}
    for count in drawn.values():
        assert_share(count, len(plans), 1 / 3)
    # The other draws are those of a run with the objects' own: the two can be compared caption by caption.
    own = Planner(table, CaptionsSpec(strategies={"background": 1.0}), seed=0)
    assert all(own.plan(0, plan.slot).concept == plan.concept for plan in plans[:200])
    shuffled = Planner([*table[:2], *reversed(places)], spec, seed=0)
    assert {plan.background for plan in plans[:50]} == {shuffled.plan(0, plan.slot).background for plan in plans[:50]}
    assert expected(table, spec, 100) == pytest.approx(
        {("object", "other", "background"): 70, ("place", "other", "concept"): 30}
    )


def test_random_places_need_a_place():
    with pytest.raises(SpecError, match=r"captions.backgrounds=random_place: .* no place; add a source"):
        Planner([made_up("fox")], CaptionsSpec(backgrounds="random_place"), seed=0)


def test_the_second_noun_is_left_to_the_llm_if_the_recipe_says_so():
    planner = Planner(small_table(), CaptionsSpec(strategies={"relation": 1.0}, offer_other=False), seed=0)
    assert {planner.plan(0, slot).other for slot in range(50)} == {None}


@pytest.mark.parametrize("concepts", [[], [made_up("fox", weight=0.0)]])
def test_a_table_without_concepts_or_weight_is_refused(concepts):
    with pytest.raises(SpecError):
        Planner(concepts, SPEC, seed=0)


def test_slots_of_a_pack_share_their_examples_and_no_others_do():
    prompts, planner = load_prompts("synclr"), Planner(small_table(), CaptionsSpec(packing=16), seed=0)
    shared = {}
    for index in range(4_000):
        plan = planner.plan(*divmod(index, 40))
        examples = examples_for(plan, prompts, 0, 0)
        assert shared.setdefault((plan.shard, plan.slot // 16, plan.prompt_kind), examples) == examples
    large = [examples for (_, _, kind), examples in shared.items() if kind in ("object", "background")]
    assert len(set(large)) > 0.99 * len(large), "one draw in 132,600, or 117,600, is alike"


@pytest.mark.parametrize("packing", [1, 16])
def test_any_three_examples_in_any_order_are_as_likely_packed_or_not(packing):
    """One slot of each pack, for those of a pack are one draw: each place is uniform, and so is which follows which."""
    prompts = load_prompts("synclr")
    planner = Planner(small_table(), CaptionsSpec(packing=packing, strategies={"relation": 1.0}), seed=0)
    places = {each: at for at, each in enumerate(prompts.relation.examples)}
    found = Counter()
    for index in range(12_000):
        plan = planner.plan(index // 4, index % 4 * packing + index % packing)
        if plan.prompt_kind == "relation":
            first, second, third = (places[each] for each in examples_for(plan, prompts, 0, 0))
            found.update([("1", first), ("2", second), ("3", third)])
            found.update([("12", first, second), ("23", second, third), ("13", first, third)])
    for place in ("1", "2", "3"):
        assert chi_square(found, place, 20) < ceiling(19)
    for pair in ("12", "23", "13"):
        assert chi_square(found, pair, 20 * 19) < ceiling(20 * 19 - 1)


def chi_square(found, sort, cells):
    counts = [count for (is_sort, *_), count in found.items() if is_sort == sort]
    mean = sum(counts) / cells
    return sum(count * count for count in counts) / mean - sum(counts)


def ceiling(freedom):
    """Nearly five standard deviations over a chi-square's mean."""
    return freedom + 5 * math.sqrt(2 * freedom)


def test_packing_changes_nothing_of_a_plan_but_its_pack():
    alone, packed = (Planner(small_table(), CaptionsSpec(packing=size), seed=0) for size in (1, 16))
    for slot in range(500):
        one, other = alone.plan(3, slot), packed.plan(3, slot)
        assert one.pack == slot and replace(one, pack=other.pack) == other
