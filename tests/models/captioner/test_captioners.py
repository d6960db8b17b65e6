"""What every captioner promises, of texts and of chats; the fake and the real ones pass the same suite."""

import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack

import pytest

from data_specs.errors import SpecError
from data_specs.specs.captions import CaptionsSpec
from models.captioner.build import build_captioner, identify_captioner, require_captioner
from models.captioner.protocol import Ask, Turn
from support.completions_server import MODEL, completions
from support.vllm_server import KEY
from tasks.engines import loaded

LONG = "A {} that somebody left behind the old wooden barn at the far end of a long and very muddy country road, seen at dusk."


def prompt(examples, name, chat):
    if not chat:
        return "\n\n".join(
            ["Photo captions.", *(f"{one} => {caption}" for one, caption in examples.items()), f"{name} =>"]
        )
    shown = [turn for one, caption in examples.items() for turn in (Turn("user", one), Turn("assistant", caption))]
    return (Turn("system", "Answer with one short photo caption."), *shown, Turn("user", name))


def asks(chat):
    """Many, some others, one whose answer is long, one that fits no model."""
    short, long = (
        {"fox": "A red fox.", "kettle": "A kettle on a stove."},
        {"fox": LONG.format("fox"), "tram": LONG.format("tram")},
    )
    names = enumerate(["swan", "tram", "daisy", "otter", "swan"], 2**62)
    return (
        [Ask(prompt(short, name, chat), seed) for seed, name in names],
        [Ask(prompt(short, name, chat), 7) for name in ("harp", "mango", "moose")],
        Ask(prompt(long, "owl", chat), 1),
        Ask(prompt({"fox": "A red fox.\n\n" * 1500}, "owl", chat), 1),
    )


SPECS = {
    "fake": CaptionsSpec(engine="fake"),
    # In float32: processors without bfloat16 take four times as long to do without it.
    "vllm": CaptionsSpec(dtype="float32", max_tokens=12),
    "transformers": CaptionsSpec(engine="transformers", dtype="float32", max_tokens=12),
    "stand-in server": CaptionsSpec(engine="openai", model=MODEL, revision="1"),
    "vllm serve": CaptionsSpec(engine="openai", max_tokens=12),
}
SLOW = {
    "vllm": [pytest.mark.slow(40), pytest.mark.xdist_group("vllm")],
    "transformers": [pytest.mark.slow(30)],
    "vllm serve": [pytest.mark.long(60), pytest.mark.xdist_group("vllm serve")],
}
REAL = ("vllm", "transformers", "vllm serve")


class InAProcessOfItsOwn:
    """As in a run: vLLM changes torch's threads and memory policy for the whole of its process."""

    def __init__(self, spec):
        self.spec = spec
        self._pool = ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), _prepare)

    def complete(self, asks):
        return self._pool.submit(_complete, self.spec, asks).result()

    def close(self):
        self._pool.shutdown()


def _prepare():
    # Before torch is loaded: on a busy machine, threads that wait for one another cost ten times the work.
    os.environ.update(OMP_NUM_THREADS="1", OMP_WAIT_POLICY="PASSIVE")


def _complete(spec, asks):
    captioner = loaded(build_captioner, spec)
    return captioner.complete(asks), captioner.model


@pytest.fixture(scope="module", params=[pytest.param(name, marks=SLOW.get(name, [])) for name in SPECS])
def captioner(request):
    spec, url = SPECS[request.param], None
    with ExitStack() as stack:
        if request.param == "stand-in server":
            url = stack.enter_context(completions()).url
        if request.param == "vllm serve":
            url = request.getfixturevalue("vllm_server").url
            stack.enter_context(pytest.MonkeyPatch.context()).setenv("SYNCLR_API_KEY", KEY)
        captioner = InAProcessOfItsOwn(spec.model_copy(update={"server": url}))
        captioner.real, captioner.batches_move = request.param in REAL, request.param == "vllm serve"
        for chat in (False, True):
            require_captioner(captioner.spec.model_copy(update={"chat": chat}))
        yield captioner
        captioner.close()


@pytest.fixture(params=[False, True], ids=["texts", "chats"])
def chat(request):
    """Both are asked of one engine: it goes by the form of the prompts."""
    return request.param


@pytest.fixture
def asked(chat):
    return asks(chat)


def test_keeps_its_promises(captioner, chat, asked):
    many, others, *_ = asked
    texts, model = captioner.complete(many)
    assert model == identify_captioner(captioner.spec)
    assert len(texts) == len(many) and all(isinstance(text, str) for text in texts)
    if not chat:
        assert all("\n" not in text[:-1] for text in texts), "one line each"
    assert len(set(texts)) > len(many) // 2, "other seeds, other texts"
    assert captioner.complete([])[0] == []
    captioner.complete(others)
    again = captioner.complete(many)[0]
    same = sum(one == other for one, other in zip(texts, again, strict=True))
    assert same == len(texts) or captioner.batches_move, "what was asked between does not count"


def test_a_completion_that_was_cut_has_no_line_break_and_the_others_have(captioner, asked):
    if captioner.real:
        many, _, wordy, _ = asked
        (cut, *others), _ = captioner.complete([wordy, *many])
        assert not cut.endswith("\n") and len(cut.split()) > 3
        assert any(text.endswith("\n") for text in others)


def test_a_prompt_that_does_not_fit_is_no_fault_of_the_engine(captioner, asked):
    if captioner.real:
        _, others, _, huge = asked
        with pytest.raises(SpecError, match="captions"):
            captioner.complete([huge])
        assert captioner.complete(others)[0], "and the engine goes on"
