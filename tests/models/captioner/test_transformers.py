"""The fallback engine: each row draws by its own seed, and a batch that does not fit is halved."""

import pytest
import torch

from data_specs.errors import EngineError
from data_specs.specs.captions import CaptionsSpec
from models.captioner.build import build_captioner
from models.captioner.protocol import Ask

pytestmark = pytest.mark.slow(20)
ASKS = [
    Ask(f"fox => A red fox in the snow.\n\n{name} =>", seed)
    for seed, name in enumerate(["owl", "tram", "daisy", "an old kettle"])
]


@pytest.fixture(scope="module")
def captioner():
    return build_captioner(CaptionsSpec(engine="transformers", dtype="float32", max_tokens=8))


@pytest.fixture
def threads():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def test_what_stands_beside_a_row_does_not_change_its_draws(captioner, threads):
    together = captioner.complete(ASKS)
    assert [captioner.complete([ask])[0] for ask in ASKS] == together
    assert captioner.complete([Ask(ask.prompt, ask.seed + 100) for ask in ASKS]) != together


def test_a_batch_that_does_not_fit_is_halved_and_nothing_is_lost(captioner, threads, monkeypatch):
    wanted, whole, sizes = captioner.complete(ASKS), captioner._continued, []

    def cramped(asks):
        sizes.append(len(asks))
        if len(asks) > 1:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return whole(asks)

    monkeypatch.setattr(captioner, "_continued", cramped)
    monkeypatch.setattr(captioner, "_batch", 4)
    assert captioner.complete(ASKS) == wanted
    assert sizes == [4, 2, 1, 1, 1, 1]

    def broken(asks):
        raise RuntimeError("CUDA error: an illegal memory access")

    monkeypatch.setattr(captioner, "_continued", broken)
    with pytest.raises(EngineError, match="failed on 1 prompts: CUDA error"):
        captioner.complete(ASKS)
