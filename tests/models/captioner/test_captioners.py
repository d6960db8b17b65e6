"""What every captioner promises; the fake and the real one pass the same suite."""

import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor

import pytest

from data_specs.run import CaptionsSpec
from models.captioner.build import build_captioner, identify_captioner
from models.captioner.protocol import Ask
from tasks.engines import loaded

PROMPT = "Photo captions.\n\nfox => A red fox in the snow.\n\nkettle => A steel kettle on a stove.\n\n{} =>"
ASKS = [Ask(PROMPT.format(name), seed) for seed, name in enumerate(["swan", "tram", "daisy", "otter"] * 2, 2**62)]
OTHERS = [Ask(PROMPT.format(name), 7) for name in ("harp", "mango", "moose")]
SPECS = {"fake": CaptionsSpec(engine="fake"), "vllm": CaptionsSpec(max_tokens=16)}


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


@pytest.fixture(scope="module", params=["fake", pytest.param("vllm", marks=pytest.mark.slow)])
def captioner(request):
    captioner = InAProcessOfItsOwn(SPECS[request.param])
    yield captioner
    captioner.close()


def test_keeps_its_promises(captioner):
    texts, model = captioner.complete(ASKS)
    assert model == identify_captioner(captioner.spec)
    assert len(texts) == len(ASKS) and all(isinstance(text, str) for text in texts)
    assert all("\n" not in text[:-1] for text in texts), "one line each"
    assert len(set(texts)) > len(ASKS) // 2, "other seeds, other texts"
    assert captioner.complete([])[0] == []
    captioner.complete(OTHERS)
    assert captioner.complete(ASKS)[0] == texts, "what was asked between does not count"
