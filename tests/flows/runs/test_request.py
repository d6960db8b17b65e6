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
        ({"name": "x/../../y"}, "letters, digits"),
        ({"recipe": "my recipe.v2.yaml"}, r"'my recipe\.v2'.*--name"),
    ],
)
def test_wrong_words_are_refused_in_one_line(words, said):
    with pytest.raises(SpecError, match=said) as refused:
        Request(**words)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("root", "variable"), [("~/root", None), (None, "~/root"), ("file://~/root", None), ("", "~/root")]
)
def test_a_sign_for_home_in_a_root_is_the_home_and_no_folder_of_that_name(root, variable, monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("SYNCLR_ROOT", raising=False)
    if variable:
        monkeypatch.setenv("SYNCLR_ROOT", variable)
    assert Request("tiny", root=root).run_root == str(tmp_path / "root")


def test_a_recipe_at_home_is_found_and_kept_by_its_path(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "mine.yaml").write_text("extends: tiny\nseed: 7\n")
    request = Request("~/mine.yaml")
    assert request.run_name == "mine" and request.source()["recipe"] == str(tmp_path / "mine.yaml")
    assert resolve_recipe("~/mine.yaml").seed == 7
    (tmp_path / "recipes").mkdir()
    (tmp_path / "mine.yaml").rename(tmp_path / "recipes" / "shared.yaml")
    monkeypatch.setenv("SYNCLR_RECIPES", "~/recipes")
    assert resolve_recipe("shared").seed == 7
