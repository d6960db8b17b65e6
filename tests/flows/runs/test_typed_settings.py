"""A setting's type says how its text is read: what YAML takes for a date, number or comment stays the text that was written."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_specs.errors import SpecError
from flows.runs.recipes import format_overrides, names, read_overrides, resolve_recipe
from flows.runs.typed_settings import setting_from_text

TEXTS = [
    "blurry, #1 low",
    "2026-05-01",
    "2026-13-45",
    "1234567",
    "7e5",
    "1.10",
    "007",
    "true",
    "*blurry*",
    "a: b",
    "'tis",
    "[red]",
    "{fox}",
    "@home",
    '"big" and "small"',
    "it's, isn't it?",
]


@pytest.mark.parametrize("text", TEXTS)
def test_a_text_is_taken_as_it_stands_from_the_command_line(text):
    overrides = read_overrides("tiny", [f"images.negative_prompt={text}", f"captions.revision={text}"])
    spec = resolve_recipe("tiny", overrides)
    assert (spec.images.negative_prompt, spec.captions.revision) == (text, text)


@pytest.mark.parametrize(
    "text", ["2026-05-01", "2026-13-45", "1234567", "7e5", "1.10", "007", "true", "2026-05-01T10:00:00Z"]
)
def test_a_text_that_nobody_quoted_is_taken_as_it_stands_from_a_recipe(tmp_path, text):
    (tmp_path / "mine.yaml").write_text(
        f"extends: tiny\ncaptions: {{revision: {text}}}\nimages: {{negative_prompt: {text}}}\n"
        f"concepts:\n  categories: {{{text}: 1.0}}\n  sources: [{{use: file, path: {text}, category: {text}, within: {text}}}]\n"
    )
    spec = resolve_recipe(str(tmp_path / "mine.yaml"))
    assert (spec.captions.revision, spec.images.negative_prompt, spec.concepts.categories) == (text, text, {text: 1.0})
    [source] = spec.concepts.sources
    assert (source.path, source.category, source.within) == (text, text, text)


def test_a_recipe_may_extend_one_whose_name_looks_like_a_number(tmp_path):
    (tmp_path / "1.10").write_text("extends: tiny\nseed: 7\n")
    (tmp_path / "mine.yaml").write_text("extends: 1.10\n")
    assert resolve_recipe(str(tmp_path / "mine.yaml")).seed == 7


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("captions.total=1e3", 1000),
        ("captions.total=0x10", 16),
        ("captions.total=1_024  # a comment", 1024),
        ("encoder.lr=1e-3", 0.001),
        ("encoder.compile=true", True),
        ("captions.language=null", None),
        ("captions.language=en", "en"),
        ("captions.revision=", None),
        ("captions.revision=~", None),
        ("images.negative_prompt=", ""),
        ("images.negative_prompt=null", "null"),
        ("images.negative_prompt='  two spaces '", "  two spaces "),
        ('images.negative_prompt="blurry"', "blurry"),
        ("images.negative_prompt='it''s'", "it's"),
        ("captions.strategies.concept=1.0", 1.0),
        ("embeddings.seeds=[0, 1]", (0, 1)),
        ("scores.protocols=[ridge, knn]", ("ridge", "knn")),
        (
            "images.scheduler_options={eta: 0.5, use_karras_sigmas: true, algorithm_type: sde}",
            {"eta": 0.5, "use_karras_sigmas": True, "algorithm_type": "sde"},
        ),
    ],
)
def test_what_is_no_text_is_yaml(text, value):
    stage, setting, *inner = text.partition("=")[0].split(".")
    if inner:  # one share of many: what YAML reads is enough here
        assert setting_from_text((stage, setting, *inner), text.partition("=")[2]) == value
        return
    found = getattr(getattr(resolve_recipe("tiny", read_overrides("tiny", [text])), stage), setting)
    assert found == value and type(found) is type(value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("captions.total=many", r'captions.total: .*\(given: "many"\)'),
        ("captions.total=2026-05-01", r'captions.total: .*\(given: "2026-05-01"\)'),
        ("captions.total=true", r'captions.total: .*valid integer.*\(given: "true"\)'),
        ("captions.temperature=yes", r'captions.temperature: .*valid number.*\(given: "yes"\)'),
        ("embeddings.seeds=[true]", r'embeddings.seeds.0: .*\(given: "true"\)'),
        ("captions.strategies={concept: true}", r'captions.strategies.concept: .*\(given: "true"\)'),
        ("captions.strategies={concept: 1.0", "the value is not YAML: .*expected"),
        ("scores.protocols=!!python/name:os.x []", "the value is not YAML: .*constructor"),
        ("scores.protocols=&a [*a]", "scores.protocols.0"),
        ("nothing.here=2026-05-01", "nothing: unknown key"),
    ],
)
def test_a_wrong_value_is_shown_in_one_line(text, said):
    with pytest.raises(SpecError, match=said) as caught:
        resolve_recipe("tiny", read_overrides("tiny", [text]))
    assert "\n" not in str(caught.value)


def test_a_list_of_which_nothing_is_right_is_not_called_too_short_and_an_empty_one_is():
    with pytest.raises(SpecError, match=r"\A[^;]*\(given: 0\); [^;]*\(given: 1e-12\)\Z"):
        resolve_recipe("tiny", read_overrides("tiny", ["scores.ridge_penalties=[0, 1e-12]"]))
    with pytest.raises(SpecError, match="at least 1 item"):
        resolve_recipe("tiny", read_overrides("tiny", ["scores.ridge_penalties=[]"]))


def test_a_form_that_sends_a_number_for_a_text_is_told_to_quote_it():
    with pytest.raises(SpecError, match=r"captions.revision: .*put it in quotes \(given: 7890123\)"):
        resolve_recipe("tiny", {"captions": {"revision": 7890123}})


LEAF = st.text() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)


@settings(deadline=None, max_examples=60)
@given(text=st.text(), revision=st.text() | st.none(), options=st.dictionaries(st.text(), LEAF, max_size=4))
def test_what_is_written_for_another_command_line_is_read_back(text, revision, options):
    overrides = {
        "images": {"negative_prompt": text, "scheduler_options": options},
        "captions": {"revision": revision},
        "concepts": {"sources": [{"use": "file", "path": text}], "categories": {text: 1.0}},
    }
    if any("\ud800" <= each <= "\udfff" for each in json.dumps(overrides, ensure_ascii=False)):
        return  # half a character, which no command line can carry
    assert read_overrides("tiny", format_overrides(overrides)) == overrides


@pytest.mark.parametrize("name", names())
def test_every_shipped_recipe_is_read_back_from_its_own_settings(name):
    settings = resolve_recipe(name).model_dump(mode="json")
    parts = {stage: part for stage, part in settings.items() if isinstance(part, dict)}
    assert resolve_recipe(name, read_overrides(name, format_overrides(parts))).model_dump(mode="json") == settings


@pytest.mark.parametrize(
    "content", ["revision: 2026-13-45", "!!omap [a: 1, a: 2]", "a: &a [*a]", "a: &a {<<: *a}", "[" * 3000]
)
def test_a_file_that_trips_the_yaml_library_is_refused_in_one_line(tmp_path, content):
    (tmp_path / "bad.yaml").write_text(content)
    with pytest.raises(SpecError) as caught:
        resolve_recipe(str(tmp_path / "bad.yaml"))
    assert "\n" not in str(caught.value)
