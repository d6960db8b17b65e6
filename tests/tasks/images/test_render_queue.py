"""The engine is asked by one thread, waits for nobody, goes on with the shard that came first, and leaves nothing out."""

import io
import threading
import time
from concurrent.futures import CancelledError, ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from data_specs import caption as caption_record
from data_specs import image_group
from data_specs.errors import EngineError, SpecError
from data_specs.shard import MadeBy
from data_specs.specs.images import ImagesSpec
from data_specs.stage import Stage
from models.renderer.fake import FakeRenderer
from models.renderer.protocol import RenderRequest
from support.builders import make_caption
from tasks import engines
from tasks.bundles import Work
from tasks.events import Advanced, Worked
from tasks.images import render as rendering
from tasks.images import render_queue
from tasks.images.render import ImageInputs, render_here, render_shard
from tasks.images.render_queue import RenderQueue
from tasks.shards import make_shard, read_shard, require_sealed, sealed

SPEC = ImagesSpec(engine="fake", format="png")
REQUESTS = [RenderRequest(f"a dog, number {number}", number) for number in range(10)]


class Watched(FakeRenderer):
    """Batches of four; notes what it was asked, and by which threads; sleeps over each batch, or waits at its gate."""

    batch_size = 4

    def __init__(self, seconds: float = 0.0) -> None:
        super().__init__()
        self.calls: list[list[int]] = []
        self.threads: set[int] = set()
        self.gates: dict[int, threading.Event] = {}
        self.seconds = seconds

    def render(self, requests):
        self.calls.append([request.seed for request in requests])
        self.threads.add(threading.get_ident())
        if gate := self.gates.get(len(self.calls)):
            gate.wait(60)
        time.sleep(self.seconds)
        return super().render(requests)


def once(condition):
    until = time.monotonic() + 60
    while not condition() and time.monotonic() < until:
        time.sleep(0.001)


def test_images_come_in_order_from_batches_of_the_engines_size():
    renderer = Watched()
    drawn = list(RenderQueue(renderer, SPEC).attempts(0, REQUESTS))
    assert renderer.calls == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    alone = [next(RenderQueue(FakeRenderer(), SPEC).attempts(0, [request])) for request in REQUESTS]
    assert drawn == alone and len({attempt.sha256 for attempt in drawn}) == 10


def test_two_shards_share_one_thread_and_the_first_goes_first_also_with_what_it_draws_again():
    renderer = Watched()
    renderer.gates = {call: threading.Event() for call in (1, 2)}
    queue = RenderQueue(renderer, SPEC)
    first, second = queue.next_priority(), queue.next_priority()

    def draws_again():
        list(queue.attempts(first, REQUESTS[:4]))
        return list(queue.attempts(first, [RenderRequest("again", 100)]))

    with ThreadPoolExecutor(2) as shards:
        one = shards.submit(draws_again)
        once(lambda: renderer.calls)
        other = shards.submit(
            lambda: list(queue.attempts(second, [RenderRequest("b", seed) for seed in range(200, 220)]))
        )
        once(lambda: queue._jobs.qsize() == 5)
        renderer.gates[1].set()
        # One batch of the second shard may have begun before the first shard knew what it must draw again.
        once(lambda: [100] in renderer.calls or any(job.priority == first for job in list(queue._jobs.queue)))
        renderer.gates[2].set()
        assert len(one.result()) == 1 and len(other.result()) == 20
    assert len(renderer.threads) == 1
    assert [100] in renderer.calls[:3]


def test_the_engine_draws_on_while_images_are_encoded_and_waits_only_where_they_pile_up(monkeypatch):
    encoding, go_on = threading.Semaphore(0), threading.Event()

    def slow(pixels, scores, spec):
        encoding.release()
        go_on.wait(60)
        return render_queue.Attempt(sha256=str(float(pixels.sum())))

    monkeypatch.setattr(render_queue, "_encode", slow)
    renderer = Watched()
    queue = RenderQueue(renderer, SPEC)
    drawn = queue.attempts(0, [RenderRequest("a", seed) for seed in range(40)])
    with ThreadPoolExecutor(1) as shard:
        got = shard.submit(list, drawn)
        until = time.monotonic() + 60
        while len(renderer.calls) < render_queue.AHEAD and time.monotonic() < until:
            time.sleep(0.001)
        time.sleep(0.05)
        assert len(renderer.calls) == render_queue.AHEAD and not got.done()
        go_on.set()
        assert len(got.result()) == 40


def test_a_failing_engine_fails_the_shard_that_asked_and_what_it_still_wanted_is_not_drawn():
    class Failing(Watched):
        def render(self, requests):
            if len(self.calls) == 2:
                go_on.wait(60)
            images = super().render(requests)
            if requests[0].seed == 4:
                raise EngineError("planted")
            return images

    go_on = threading.Event()
    renderer = Failing()
    queue = RenderQueue(renderer, SPEC)
    with pytest.raises(EngineError, match="planted"):
        list(queue.attempts(0, [RenderRequest("a", seed) for seed in range(40)]))
    asked = len(renderer.calls)
    go_on.set()
    assert asked <= 3
    assert len(list(queue.attempts(1, REQUESTS[:2]))) == 2 and len(renderer.calls) <= asked + 2


def test_busy_is_the_time_at_the_engine_alone():
    queue = RenderQueue(Watched(0.1), SPEC)
    list(queue.attempts(0, REQUESTS[:8]))
    time.sleep(0.2)
    before, share, after = queue.seconds, queue.busy_share, queue.seconds
    assert 0.2 <= queue.busy_seconds <= before - 0.2
    assert queue.busy_seconds / after <= share <= queue.busy_seconds / before


@pytest.fixture
def work(tmp_path):
    """Five shards of two captions."""
    captions = Stage(name="captions", lineage="abc", folder=f"{tmp_path}/captions", count=5, facts={})
    for address in captions.shards():
        made = [make_caption(name, n, f"{name} {address.index} on a sofa") for n, name in enumerate(["dog", "cat"])]
        make_shard(address, caption_record.CONTRACT, lambda made=made: made)
    images = Stage(name="images", lineage="def", folder=f"{tmp_path}/images", count=5, facts={})
    return Work(images, tuple(range(5)), SPEC, ImageInputs(captions, None), 0, MadeBy("r"))


def test_a_bundle_is_rendered_two_shards_in_hand_and_says_how_far_it_is(work, monkeypatch):
    monkeypatch.setattr(engines, "_loaded", {})
    events = []
    assert render_here(replace(work, indices=(0, 1, 2)), emit=events.append) == 24
    assert render_here(work, emit=events.append) == 16
    for index in work.indices:
        captions = list(read_shard(work.inputs.captions.shard(index), caption_record.CONTRACT))
        groups = list(read_shard(work.stage.shard(index), image_group.CONTRACT))
        assert [group.caption for group in groups] == captions
    assert {(event.run, event.stage) for event in events} == {("r", "images")}
    assert sum(event.by for event in events if isinstance(event, Advanced)) == 40
    worked = [event for event in events if isinstance(event, Worked)]
    assert len(worked) == 2 and 0 < worked[0].busy_seconds < worked[1].busy_seconds < worked[1].seconds


def test_a_shard_that_fails_takes_none_of_its_neighbours_along(work, monkeypatch):
    class Failing(FakeRenderer):
        broken = True

        def render(self, requests):
            if self.broken and any("2 on a sofa" in request.text for request in requests):
                raise EngineError("planted")
            return super().render(requests)

    renderer = Failing()
    queue = RenderQueue(renderer, SPEC)
    monkeypatch.setattr(rendering, "loaded", lambda *_: queue)
    events = []
    with pytest.raises(EngineError, match="planted"):
        render_here(work, emit=events.append)
    assert [sealed(address) is not None for address in work.shards[:3]] == [True, True, False]
    renderer.broken = False
    render_here(work, emit=events.append)
    assert all(require_sealed(address).accepted == 2 for address in work.shards)
    assert sum(event.by for event in events if isinstance(event, Advanced)) == 40


def test_what_is_encoded_is_what_was_drawn():
    pixels = FakeRenderer().render(REQUESTS[:1])[0]
    [attempt] = RenderQueue(FakeRenderer(), SPEC).attempts(0, REQUESTS[:1])
    decoded = np.asarray(Image.open(io.BytesIO(attempt.data)), np.float32) / 255
    assert np.abs(decoded - pixels).max() <= 0.5 / 255 + 1e-6


def test_a_large_shard_is_drawn_in_parts_and_nothing_shows_it(monkeypatch):
    captions = [make_caption(f"dog {slot}", slot) for slot in range(7)]
    whole = list(rendering.render(captions, RenderQueue(FakeRenderer(), SPEC), SPEC, seed=0))
    monkeypatch.setattr(rendering, "AT_A_TIME", 2)
    renderer, events = Watched(), []
    parts = rendering.render(captions, RenderQueue(renderer, SPEC), SPEC, seed=0, emit=events.append)
    assert next(parts) == whole[0] and len(renderer.calls) == 2
    assert list(parts) == whole[1:] and len(renderer.calls) == 7
    assert sum(event.by for event in events) == 28


def test_a_shard_that_fails_midway_takes_back_what_it_reported(work):
    class Failing(Watched):
        def render(self, requests):
            if len(self.calls) == 1:
                raise EngineError("planted")
            return super().render(requests)

    events = []
    with pytest.raises(EngineError, match="planted"):
        render_shard(work, 0, RenderQueue(Failing(), SPEC), emit=events.append)
    assert [event.by for event in events] == [4, -4]


def test_an_abandoned_shard_that_asks_later_is_not_drawn_either_and_a_new_one_is():
    renderer = Watched()
    queue = RenderQueue(renderer, SPEC)
    before = queue.next_priority()
    queue.abandon()
    with pytest.raises(CancelledError):
        list(queue.attempts(before, REQUESTS))
    assert len(list(queue.attempts(queue.next_priority(), REQUESTS[:4]))) == 4 and renderer.calls == [[0, 1, 2, 3]]


def test_a_wrong_request_ends_the_other_shard_in_hand_too(work, monkeypatch):
    """Its captions are too many to be drawn in the time that is allowed here."""

    class Refusing(Watched):
        def render(self, requests):
            if any("0 on a sofa" in request.text for request in requests):
                time.sleep(0.2)
                raise SpecError("planted")
            return super().render(requests)

    many = SPEC.model_copy(update={"per_caption": 400})
    queue = RenderQueue(Refusing(0.5), many)
    monkeypatch.setattr(rendering, "loaded", lambda *_: queue)
    began = time.monotonic()
    with pytest.raises(SpecError, match="planted"):
        render_here(replace(work, settings=many))
    assert time.monotonic() - began < 30 and not any(map(sealed, work.shards))
