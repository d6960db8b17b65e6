"""The same words from command line, form and schedule ask for the same run; wrong words are refused in one line."""

import pytest

from data_specs.errors import SpecError
from flows.runs.recipes import read_overrides, resolve_recipe
from flows.runs.request import Request

TYPED = {"captions": {"total": 96}, "seed": 3}


def test_what_was_left_out_stays_out_of_the_parameters_that_a_page_shows():
    assert Request("tiny", settings=TYPED).parameters() == {
        "recipe": "tiny", "since": "concepts", "until": "scores", "settings": {"captions": {"total": 96}, "seed": 3}
    }  # fmt: skip


def test_words_on_the_command_line_and_in_a_form_give_the_same_recipe():
    said = read_overrides("tiny", ["captions.total=96", "seed=3"])
    assert resolve_recipe("tiny", TYPED) == resolve_recipe("tiny", said)


def test_one_share_on_the_command_line_brings_its_neighbours_along():
    overrides = read_overrides("tiny", ["concepts.kinds.object=0.9", "concepts.kinds.place=0.06"])
    assert overrides == {"concepts": {"kinds": {"object": 0.9, "place": 0.06, "texture": 0.04}}}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"since": "pictures"}, "--since 'pictures' is no stage"),
        ({"since": "scores", "until": "images"}, "comes after"),
        ({"name": "a b"}, "letters, digits"),
        ({"name": "../x"}, "letters, digits"),
        ({"recipe": "my recipe.v2.yaml"}, r"'my recipe\.v2'.*--name"),
    ],
)
def test_wrong_words_are_refused_in_one_line(words, said):
    with pytest.raises(SpecError, match=said) as refused:
        Request(**words)
    assert "\n" not in str(refused.value)
