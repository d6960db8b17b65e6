"""Of a caption's drawings the best are kept, all others told with their scores and why; safety is metadata with a policy."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from data_specs import caption as caption_record
from data_specs import image_group
from data_specs.errors import SpecError
from data_specs.ids import image_seed
from data_specs.image_group import ImageGroup
from data_specs.rejection import Rejection
from data_specs.specs.images import ImagesSpec, SafetySpec, ScorerSpec
from data_specs.stage import Stage
from models.renderer.fake import FakeRenderer
from models.scorer.fake import IDENTITY, FakeScorer
from support.builders import make_caption
from tasks.bundles import Work
from tasks.images.redraw import render_again
from tasks.images.render import ImageInputs, render, render_shard
from tasks.images.render_queue import RenderQueue
from tasks.shards import make_shard, read_rows, read_shard, sealed

CAPTIONS = [make_caption(name, slot) for slot, name in enumerate(["dog", "cat"])]
SEEDS = {place: image_seed(0, CAPTIONS[place[0]].id, *place[1:]) for place in product(range(2), range(6), range(3))}
"""Caption, candidate, attempt -> seed."""


class Tagged(FakeRenderer):
    """The first pixel says which drawing it is; those in `broken` are NaN, those in `same` one image."""

    def __init__(self, broken=(), same=()):
        super().__init__()
        self.broken, self.same = {SEEDS[place] for place in broken}, {SEEDS[place] for place in same}
        self.drawn = []

    def render(self, drawings):
        self.drawn += [next(place for place, seed in SEEDS.items() if seed == each.seed) for each in drawings]
        images = super().render(drawings)
        for drawing, image in zip(drawings, images, strict=True):
            if drawing.seed in self.same:
                image[:] = np.linspace(0, 1, image.size).reshape(image.shape)
            if drawing.seed in self.broken:
                image[:] = np.nan
        return images


class Looking:
    """Scores by drawing, as a scorer and as a checker; whoever is not in the table has `otherwise`."""

    identity = IDENTITY

    def __init__(self, renderer, table, otherwise):
        self.renderer, self.table, self.otherwise = renderer, table, otherwise

    def score(self, images, texts):
        assert [CAPTIONS[place[0]].text for place in self.renderer.drawn[-len(texts) :]] == list(texts)
        return self.check(images)

    def check(self, images):
        return [self.table.get(place, self.otherwise) for place in self.renderer.drawn[-len(images) :]]


def drawn(renderer, fits=None, beyond=None, captions=CAPTIONS[:1], **settings):
    safety = SafetySpec(policy=settings.pop("policy"), threshold=settings.pop("threshold", 0.0)) if beyond else None
    scorer = ScorerSpec(engine="fake", model="none", min_score=settings.pop("min_score", None)) if fits else None
    spec = ImagesSpec(engine="fake", format="png", per_caption=2, scorer=scorer, safety=safety, **settings)
    looking = Looking(renderer, fits, 0.0) if fits else None, Looking(renderer, beyond, -0.5) if beyond else None
    return list(render(captions, RenderQueue(renderer, spec, *looking), spec, seed=0))


FITS = {(0, 0, 0): 0.1, (0, 1, 0): 0.4, (0, 2, 0): 0.2, (0, 3, 0): 0.3}


def test_the_best_are_kept_in_the_order_of_candidates_and_the_others_told_with_their_scores():
    [group] = drawn(Tagged(), FITS, candidates=4)
    assert [(image.copy, image.candidate, image.scores) for image in group.images] == [
        (0, 1, {"clip": 0.4}),
        (1, 3, {"clip": 0.3}),
    ]
    assert [image.seed for image in group.images] == [SEEDS[0, 1, 0], SEEDS[0, 3, 0]]
    assert [(each.candidate, each.seed, each.reason, each.scores) for each in group.passed_over] == [
        (0, SEEDS[0, 0, 0], "reranked", {"clip": 0.1}),
        (2, SEEDS[0, 2, 0], "reranked", {"clip": 0.2}),
    ]
    assert (group.scorer, group.checker) == (IDENTITY, None)


def test_of_equal_scores_the_first_candidates_are_kept():
    [group] = drawn(Tagged(), {(1, 0, 0): 1.0}, candidates=5)
    assert [image.candidate for image in group.images] == [0, 1]


def test_candidates_that_are_kept_are_those_that_would_be_drawn_without_reranking():
    [plain], [group] = drawn(Tagged()), drawn(Tagged(), {(0, 0, 0): 1.0, (0, 1, 0): 0.9}, candidates=4)
    assert group.pixels == plain.pixels
    assert [image.candidate for image in plain.images] == [0, 1] and plain.passed_over == ()


def test_a_faulty_candidate_is_drawn_again_only_while_too_few_are_good():
    renderer = Tagged(broken=[(0, 0, 0), (0, 1, 0)])
    [group] = drawn(renderer, FITS, candidates=4)
    assert max(attempt for _, _, attempt in renderer.drawn) == 0
    assert [image.candidate for image in group.images] == [2, 3]
    assert {each.candidate: each.reason for each in group.passed_over} == {0: "not_finite", 1: "not_finite"}
    assert all(each.scores == {} for each in group.passed_over), "a broken image has no score"

    renderer = Tagged(broken=[(0, 0, 0), (0, 1, 0), (0, 2, 0), (0, 1, 1)])
    [group] = drawn(renderer, FITS | {(0, 2, 1): 0.9, (0, 0, 1): 0.8}, candidates=4)
    assert renderer.drawn[4:] == [(0, 0, 1), (0, 1, 1), (0, 2, 1)]
    assert [(image.candidate, image.attempt) for image in group.images] == [(0, 1), (2, 1)]
    told = [(each.candidate, each.attempt) for each in group.passed_over]
    assert told == [(0, 0), (1, 0), (1, 1), (2, 0), (3, 0)] and group.passed_over[-1].reason == "reranked"


def test_an_image_below_the_least_score_is_drawn_again_and_its_caption_refused_when_none_is_better():
    fits = {(0, 0, 0): 0.1, (0, 1, 0): 0.4, (0, 0, 1): 0.3}
    [group] = drawn(Tagged(), fits, min_score=0.25)
    assert [(image.attempt, image.scores["clip"]) for image in group.images] == [(1, 0.3), (0, 0.4)]
    assert [(each.reason, each.scores) for each in group.passed_over] == [("low_score", {"clip": 0.1})]
    [refused] = drawn(Tagged(), {(0, 1, 0): 0.4, (0, 0, 2): 0.24}, min_score=0.25)
    assert refused == Rejection(CAPTIONS[0].id, "low_score", f"{CAPTIONS[0].text} (clip 0.24)")


@pytest.mark.parametrize(
    ("policy", "drawings", "flags"), [("keep", 2, [True, False]), ("redraw", 3, [False, False]), ("drop", 2, None)]
)
def test_an_unsafe_image_is_kept_flagged_drawn_again_or_its_caption_dropped(policy, drawings, flags):
    renderer = Tagged()
    [outcome, other] = drawn(renderer, beyond={(0, 0, 0): 0.01}, captions=CAPTIONS, policy=policy)
    assert isinstance(other, ImageGroup) and not any(image.unsafe for image in other.images)
    assert sum(place[0] == 0 for place in renderer.drawn) == drawings
    if policy == "drop":
        assert outcome == Rejection(CAPTIONS[0].id, "unsafe", f"{CAPTIONS[0].text} (safety 0.01)")
        return
    assert [image.unsafe for image in outcome.images] == flags
    assert [image.scores["safety"] for image in outcome.images] == ([0.01, -0.5] if policy == "keep" else [-0.5, -0.5])
    assert [each.reason for each in outcome.passed_over] == ([] if policy == "keep" else ["unsafe"])


def test_one_unsafe_candidate_drops_the_caption_however_many_are_good():
    [refused] = drawn(Tagged(), FITS, beyond={(0, 3, 0): 0.2}, policy="drop", candidates=4)
    assert refused == Rejection(CAPTIONS[0].id, "unsafe", f"{CAPTIONS[0].text} (clip 0.3, safety 0.2)")


def test_the_threshold_is_a_setting():
    [group] = drawn(Tagged(), beyond={(0, 0, 0): 0.01}, policy="redraw", threshold=0.02)
    assert [image.attempt for image in group.images] == [0, 0] and not group.images[0].unsafe


def test_faults_are_told_in_order_broken_then_unsafe_then_low_then_a_sibling():
    fits, beyond = {(0, 1, 0): 0.1, (0, 2, 0): 0.1}, {(0, 0, 0): 0.3, (0, 1, 0): 0.3}
    renderer = Tagged(broken=[(0, 0, 0)], same=[(0, 2, 0), (0, 3, 0), (0, 4, 0)])
    fits |= {(0, place, attempt): 0.9 for place in (3, 4, 5) for attempt in (0, 1)}
    [group] = drawn(renderer, fits, beyond, policy="redraw", min_score=0.2, candidates=6)
    reasons = {each.candidate: each.reason for each in group.passed_over if each.attempt == 0}
    assert reasons == {0: "not_finite", 1: "unsafe", 2: "low_score", 4: "identical_sibling"}


def test_images_drawn_together_score_as_they_do_alone_and_a_sealed_shard_holds_all_of_it(address):
    spec = ImagesSpec(engine="fake", per_caption=2, candidates=5, scorer=ScorerSpec(engine="fake", model="none"))
    queue = RenderQueue(FakeRenderer(), spec, FakeScorer())
    together = list(render(CAPTIONS, queue, spec, seed=0))
    assert together == [next(iter(render([each], queue, spec, seed=0))) for each in CAPTIONS]
    place = address(stage="images", lineage="def")
    make_shard(place, image_group.CONTRACT, lambda: together)
    assert list(read_shard(place, image_group.CONTRACT, check_digest=True)) == together
    rows = read_rows(place).to_pylist(maps_as_pydicts="strict")
    assert [image_group.from_row(row) for row in rows] == [replace(group, pixels=()) for group in together]
    assert list(render_again([replace(group, pixels=()) for group in together], FakeRenderer(), spec)) == together


def test_a_shard_that_loses_most_of_its_captions_stops_the_run_and_is_not_sealed(address):
    scorer = ScorerSpec(engine="fake", model="none", min_score=1)
    spec = ImagesSpec(engine="fake", scorer=scorer)
    many = [make_caption(f"dog {slot}", slot) for slot in range(8)]
    make_shard(address(), caption_record.CONTRACT, lambda: many)
    captions, images = (
        Stage(name=each.stage, lineage=each.lineage, folder=each.folder, count=2, facts={})
        for each in (address(), address(stage="images", lineage="def"))
    )
    work = Work(images, (0, 1), spec, ImageInputs(captions, None), 0)
    with pytest.raises(
        SpecError, match=r"0 of 8 captions .* images\.min_kept=0\.5 wants; refused: low_score 8; .*min_score"
    ):
        render_shard(work, 0, RenderQueue(FakeRenderer(), spec, FakeScorer()))
    assert sealed(images.shard(0)) is None
    free = spec.model_copy(update={"min_kept": 0.0})
    manifest = render_shard(replace(work, settings=free), 0, RenderQueue(FakeRenderer(), free, FakeScorer()))
    assert manifest.rejected == {"low_score": 8}
    # Of so few that a selection left, a share says nothing.
    make_shard(address(index=1), caption_record.CONTRACT, lambda: CAPTIONS)
    assert render_shard(work, 1, RenderQueue(FakeRenderer(), spec, FakeScorer())).accepted == 0
