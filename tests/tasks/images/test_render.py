"""Groups are complete or refused; an image follows from its caption and copy, not from its neighbours."""

import numpy as np
import pytest

from data_specs import caption as caption_record
from data_specs import image_group
from data_specs import selection as selection_record
from data_specs.errors import ContractError
from data_specs.ids import image_seed
from data_specs.image_group import ImageGroup
from data_specs.rejection import Rejection
from data_specs.selection import CaptionVerdict
from data_specs.specs.images import ImagesSpec
from data_specs.stage import Stage
from models.renderer.fake import FakeRenderer
from support.builders import make_caption
from support.shard_files import file_of
from tasks.bundles import Work
from tasks.images.encoding import fault, store
from tasks.images.render import ImageInputs, render, render_shard
from tasks.images.render_queue import RenderQueue
from tasks.shards import make_shard, read_rejects, read_shard

SPEC = ImagesSpec(engine="fake", format="png")
CAPTIONS = [make_caption(name, slot) for slot, name in enumerate(["dog", "cat", "owl"])]


class Faulty(FakeRenderer):
    """Renders one colour, or NaN, for the seeds in `broken`."""

    def __init__(self, broken: dict[int, float]) -> None:
        super().__init__()
        self.broken = broken
        self.calls: list[int] = []

    def render(self, requests):
        self.calls.append(len(requests))
        images = super().render(requests)
        for request, image in zip(requests, images, strict=True):
            if request.seed in self.broken:
                image[:] = self.broken[request.seed]
        return images


def test_every_caption_comes_out_with_all_its_images_and_they_differ():
    groups = list(render(CAPTIONS, RenderQueue(FakeRenderer(), SPEC), SPEC, seed=0))
    assert [group.caption for group in groups] == CAPTIONS
    assert all(len(set(group.pixels)) == 4 for group in groups)
    assert all([image.copy for image in group.images] == [0, 1, 2, 3] for group in groups)


def test_an_image_does_not_depend_on_its_neighbours():
    together = list(render(CAPTIONS, RenderQueue(FakeRenderer(), SPEC), SPEC, seed=0))
    alone = [next(iter(render([caption], RenderQueue(FakeRenderer(), SPEC), SPEC, seed=0))) for caption in CAPTIONS]
    assert together == alone


@pytest.mark.parametrize(("value", "reason"), [(0.0, "constant_colour"), (np.nan, "not_finite")])
def test_a_faulty_image_alone_is_drawn_again_with_the_next_attempt(value, reason):
    broken = image_seed(0, CAPTIONS[1].id, 2, attempt=0)
    renderer = Faulty({broken: value})
    groups = list(render(CAPTIONS, RenderQueue(renderer, SPEC), SPEC, seed=0))
    assert renderer.calls == [12, 1]
    assert all(isinstance(group, ImageGroup) for group in groups)
    assert [image.attempt for image in groups[1].images] == [0, 0, 1, 0]
    assert fault(np.full((4, 4, 3), value, np.float32)) == reason


def test_a_caption_whose_image_fails_every_time_is_refused_whole_with_the_reason():
    broken = {image_seed(0, CAPTIONS[1].id, 2, attempt): 0.0 for attempt in range(SPEC.attempts)}
    outcomes = list(render(CAPTIONS, RenderQueue(Faulty(broken), SPEC), SPEC, seed=0))
    assert [type(outcome) for outcome in outcomes] == [ImageGroup, Rejection, ImageGroup]
    assert outcomes[1] == Rejection(CAPTIONS[1].id, "constant_colour", CAPTIONS[1].text)


def test_an_image_equal_to_its_sibling_is_drawn_again():
    class Twin(FakeRenderer):
        def render(self, requests):
            images = super().render(requests)
            if len(images) == 4:
                images[3] = images[0]
            return images

    [group] = render(CAPTIONS[:1], RenderQueue(Twin(), SPEC), SPEC, seed=0)
    assert len(set(group.pixels)) == 4
    assert group.images[3].attempt == 1


def stage_of(address):
    return Stage(name=address.stage, lineage=address.lineage, folder=address.folder, count=1, facts={})


def work_on(address, selection=None, lineage="def"):
    inputs = ImageInputs(stage_of(address()), selection and stage_of(selection))
    return Work(stage_of(address(stage="images", lineage=lineage)), (0,), SPEC, inputs, 0)


def test_a_shard_goes_in_and_a_shard_of_groups_comes_out_with_the_captions_inside(address):
    make_shard(address(), caption_record.CONTRACT, lambda: CAPTIONS)
    work = work_on(address)
    manifest = render_shard(work, 0, RenderQueue(FakeRenderer(), SPEC))
    groups = list(read_shard(work.stage.shard(0), image_group.CONTRACT, check_digest=True))
    assert (manifest.accepted, [group.caption for group in groups]) == (3, CAPTIONS)


def test_captions_that_are_not_as_sealed_are_not_rendered(address):
    make_shard(address(), caption_record.CONTRACT, lambda: CAPTIONS)
    tar = file_of(address(), "tar")
    tar.write_bytes(tar.read_bytes().replace(CAPTIONS[0].text.encode(), CAPTIONS[0].text.upper().encode()))
    work, renderer = work_on(address), Faulty({})
    with pytest.raises(ContractError, match=r"captions-000000\.\w{12}\.tar is damaged"):
        render_shard(work, 0, RenderQueue(renderer, SPEC))
    assert not renderer.calls


def test_large_images_are_made_smaller_and_small_ones_never_larger():
    pixels = np.random.default_rng(0).random((64, 32, 3), np.float32)
    assert store(pixels, 32, "png", 90)[1:] == (16, 32)
    assert store(pixels, 128, "png", 90)[1:] == (32, 64)
    assert store(pixels, None, "jpg", 90)[0][:2] == b"\xff\xd8"


def test_tokens_that_the_model_does_not_read_are_told():
    long = make_caption("dog", 9, "a dog " + "and a cat " * 12)
    groups = list(render([CAPTIONS[0], long], RenderQueue(FakeRenderer(), SPEC), SPEC, seed=0))
    assert [group.unseen_tokens for group in groups] == [0, 6]
    assert groups[0].rendering.text_tokens == 32


def test_captions_that_the_selection_leaves_out_are_refused_and_another_selection_is_not_taken(address):
    make_shard(address(), caption_record.CONTRACT, lambda: CAPTIONS)
    first, second, third = (caption.id for caption in CAPTIONS)
    table = address(stage="selection", lineage="s")
    verdicts = [
        CaptionVerdict(first, "balanced_away"),
        CaptionVerdict(second, "kept"),
        CaptionVerdict(third, "duplicate_elsewhere", repeats=first, repeats_in=0),
    ]
    make_shard(table, selection_record.CONTRACT, lambda: verdicts, tar=False)
    work, queue = work_on(address, table), RenderQueue(FakeRenderer(), SPEC)
    manifest = render_shard(work, 0, queue)
    assert manifest.rejected == {"balanced_away": 1, "duplicate_elsewhere": 1} and manifest.accepted == 1
    assert read_rejects(work.stage.shard(0)) == [
        Rejection(first, "balanced_away", CAPTIONS[0].text),
        Rejection(third, "duplicate_elsewhere", f"{CAPTIONS[2].text} (repeats {first} of captions-000000)"),
    ]
    file_of(table, "parquet").write_bytes(b"torn")
    with pytest.raises(
        ContractError,
        match=r"^synclr repair RUN: selection-000000\.\w{12}\.parquet is truncated: 4 bytes, not as sealed",
    ):
        render_shard(work_on(address, table, "torn"), 0, queue)
    other = address(stage="selection", lineage="o")
    make_shard(other, selection_record.CONTRACT, lambda: verdicts[:2], tar=False)
    with pytest.raises(ContractError, match="selection-000000 of lineage o"):
        render_shard(work_on(address, other, "x"), 0, queue)
