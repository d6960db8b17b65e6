"""Every renderer says how much of a caption it does not read; the fake and the real one pass the same suite."""

import pytest

from data_specs.specs.images import ImagesSpec
from models.renderer.build import build_renderer

SHORT, LONG = "A dog on the beach.", "A dog on the beach " + "and a cat on the sofa " * 20


@pytest.fixture(scope="module", params=["fake", "diffusers"])
def renderer(request):
    return build_renderer(ImagesSpec(engine=request.param))


def test_what_is_beyond_the_limit_is_counted_and_nothing_else(renderer):
    assert renderer.rendering.text_tokens == 32, "of the tiny model; Stable Diffusion has 77"
    short, long, longer = renderer.truncated_tokens([SHORT, LONG, LONG + " one"])
    assert (short, longer - long) == (0, 1) and long > 80
    assert renderer.truncated_tokens([]) == []


class Tokenizer:
    """A token a word."""

    def __init__(self, limit):
        self.model_max_length = limit

    def __call__(self, texts, **_):
        return type("Encoded", (), {"input_ids": [text.split() for text in texts]})


@pytest.mark.parametrize(
    ("limits", "text_tokens", "truncated_tokens"),
    [([77, 256], 256, 44), ([77, 77], 77, 223), ([77, 10**30], None, 0), ([], None, 0)],
)
def test_of_several_text_encoders_the_longest_counts(limits, text_tokens, truncated_tokens):
    from models.renderer.diffusion import DiffusionRenderer

    renderer = build_renderer(ImagesSpec())
    assert isinstance(renderer, DiffusionRenderer)
    names = ("tokenizer", "tokenizer_2", "tokenizer_3")
    parts = dict.fromkeys(names) | dict(zip(names, map(Tokenizer, limits), strict=False))
    encoders = {name.replace("tokenizer", "text_encoder"): object() for name in names}
    renderer._pipeline = type("Pipeline", (), parts | encoders)()
    renderer.rendering = type("Rendering", (), {"text_tokens": renderer._text_tokens()})()
    assert renderer.rendering.text_tokens == text_tokens
    assert renderer.truncated_tokens(["word " * 300]) == [truncated_tokens]
