"""Lists as language models write them come apart into places; what is none is refused with its reason."""

from pathlib import Path

import pytest

from data_specs.errors import SpecError
from data_specs.prompt_set import EXAMPLES_PER_PROMPT
from data_specs.specs.concepts import BackgroundsSpec
from models.captioner.protocol import FILTERED, Turn
from tasks.concepts.background_answers import (
    AnswerReader,
    RefusedAnswer,
    answer_in_one_line,
    begins_with_preposition,
    fault,
    split,
    tidied,
)
from tasks.concepts.background_prompts import (
    SHIPPED,
    examples_for,
    load_prompt,
    prompt_file_digest,
    prompt_for,
    prompt_of,
    write_prompt,
)

PROMPT = load_prompt("backgrounds")
BARE = load_prompt(str(Path(__file__).with_name("bare_places.yaml")))
ANSWERS = AnswerReader(BARE)


def read(completion, concept="fox"):
    found = list(ANSWERS.read(completion, concept))
    kept = [each for each in found if isinstance(each, str)]
    return kept, [(each.reason, each.text) for each in found if isinstance(each, RefusedAnswer)]


@pytest.mark.parametrize(
    "completion",
    [
        " forest, snowy field, den\n",
        "forest; snowy field; den\n",
        "forest | snowy field | den\n",
        '["forest", "snowy field", "den"]\n',
        "['forest', 'snowy field', 'den']\n",
        "1. forest 2. snowy field 3. den\n",
        "1) forest, 2) snowy field, 3) den.\n",
        "- forest - snowy field - den\n",
        "Here are three places where a fox may be: in a forest, on a snowy field, and in the den.\n",
        "\tForest,  Snowy   Field, “Den”,\n",
        "forest, snowy field, den\nwolf => cave\n",
    ],
)
def test_every_form_of_an_answer_says_the_same(completion):
    kept, refused = read(completion)
    assert [each.casefold() for each in kept] == ["forest", "snowy field", "den"] and refused == []


@pytest.mark.parametrize(
    ("part", "reason"),
    [
        ("a forest => sofa", "prompt_leaked"),
        ("1234", "not_a_place"),
        ("☕☕", "not_a_place"),
        ("https://example.org/forest", "not_a_place"),
        ("road road road", "not_a_place"),
        ("cathedral church with churches", "not_a_place"),
        ("a place in the far north where snow never melts", "too_long"),
        ("fox is in the forest", "sentence"),
        ("It lives there", "sentence"),
        ("forest. The fox", "sentence"),
        ("running through grass", "action"),
        ("red fox", "the_concept"),
        ("Foxes", "the_concept"),
        ("fox in the snow", "the_concept"),
        ("fox den", None),
        ("parking lot", None),
        ("1950s diner", None),
        ("living room", None),
        ("child's bed", None),
        ("café terrace", None),
        ("grassland at sunset", None),
    ],
)
def test_what_is_no_place_is_refused_with_its_reason(part, reason):
    assert fault(tidied(part), "fox") == reason


@pytest.mark.parametrize(
    "answer",
    [
        "forest, snowy field, den\n",
        "\n\nforest, snowy field, den\n\nLet me know if you need more!\n",
        "Sure! Here are three places:\n\n1. **Forest**\n2. Snowy field\n3. Den\n",
        "Here are some:\n- a forest\n- a snowy field\n- a den\n\nIs there anything else?\n",
        "Here are three places: forest, snowy field, den\n",
    ],
)
def test_a_chat_model_s_list_is_read_whatever_lines_it_is_on(answer):
    kept, refused = read(answer_in_one_line(answer))
    assert [each.casefold() for each in kept] == ["forest", "snowy field", "den"] and refused == []


def test_a_chat_model_s_answer_that_was_cut_or_withheld_is_no_place():
    assert read(answer_in_one_line("1. forest\n2. snowy fie")) == (["forest"], [("cut_off", "snowy fie")])
    assert read(answer_in_one_line("Here are some:\n")) == ([], [("empty", "")])
    assert read(answer_in_one_line(FILTERED)) == ([], [("filtered", FILTERED.strip())])


def test_a_chat_about_places_is_what_is_told_the_examples_as_turns_and_the_question():
    drawn = examples_for(PROMPT, "0123456789", seed=3, attempt=0)
    first, *turns, last = prompt_for(PROMPT, drawn, "sea otter", chat=True)
    assert first == Turn("system", f"{PROMPT.system}\n{PROMPT.header}") and last == Turn("user", "sea otter")
    assert turns[:2] == [Turn("user", drawn[0].concept), Turn("assistant", ", ".join(drawn[0].backgrounds))]
    assert prompt_for(PROMPT, drawn, "sea otter", chat=False) == write_prompt(PROMPT, drawn, "sea otter")


def test_what_chat_models_are_told_counts_for_chats_alone():
    other = PROMPT.model_copy(update={"system": "Answer."})
    assert prompt_file_digest(other, chat=False) == prompt_file_digest(PROMPT, chat=False)
    assert prompt_file_digest(other, chat=True) != prompt_file_digest(PROMPT, chat=True)
    bare = str(Path(__file__).with_name("bare_places.yaml"))
    with pytest.raises(SpecError, match=r"concepts.backgrounds_by.chat: .* has no `system:`"):
        prompt_of(BackgroundsSpec(model="any", prompt=bare, chat=True))


def test_an_answer_that_was_cut_off_loses_its_last_part():
    assert read("forest, snowy fie") == (["forest"], [("cut_off", "snowy fie")])


@pytest.mark.parametrize("completion", ["", "\n", "  \n", ", ,\n", "1. 2.\n"])
def test_an_answer_of_nothing_is_one_refusal(completion):
    kept, [(reason, _)] = read(completion)
    assert kept == [] and reason in ("empty", "not_a_place")


def test_a_copied_example_is_refused_whole_and_one_place_of_it_is_not():
    places = BARE.examples[0].backgrounds
    kept, refused = read(", ".join(places) + "\n")
    assert kept == [] and {reason for reason, _ in refused} == {"prompt_leaked"} and len(refused) == len(places)
    assert read(f"{places[0]}, my garden\n") == ([places[0], "my garden"], [])


def test_where_every_example_opens_with_a_preposition_so_must_an_answer():
    found = list(AnswerReader(PROMPT).read("in a Forest, panther, under a bridge, ON the snow\n", "lion"))
    assert found == ["Forest", RefusedAnswer("not_a_place", "panther"), "under a bridge", "snow"]
    copied = ", ".join(PROMPT.examples[0].backgrounds)
    assert {each.reason for each in AnswerReader(PROMPT).read(f"{copied}\n", "lion")} == {"prompt_leaked"}


def test_nothing_of_a_long_hostile_answer_is_kept_whole():
    _, refused = read("x" * 10_000 + "\n" + "y")
    assert all(len(text) <= 200 for _, text in refused)
    assert split("[" * 100_000 + "\n") == ([], False)


def test_a_prompt_is_header_three_examples_and_the_open_question():
    drawn = examples_for(PROMPT, "0123456789", seed=3, attempt=0)
    assert len(set(drawn)) == EXAMPLES_PER_PROMPT
    assert drawn == examples_for(PROMPT, "0123456789", 3, 0) != examples_for(PROMPT, "0123456789", 3, 1)
    header, *lines, question = write_prompt(PROMPT, drawn, "sea otter").split("\n\n")
    assert header == PROMPT.header and question == "sea otter =>"
    assert lines[0] == f"{drawn[0].concept} => {', '.join(drawn[0].backgrounds)}"


def test_the_shipped_examples_pass_their_own_screen():
    for example in PROMPT.examples:
        assert len(example.backgrounds) == 8
        assert [fault(tidied(place), example.concept) for place in example.backgrounds] == [None] * 8, example.concept
        assert all(map(begins_with_preposition, example.backgrounds))


def test_a_file_of_ones_own_is_read_and_any_word_counts(tmp_path):
    text = (SHIPPED / "backgrounds.yaml").read_text(encoding="utf-8")
    (tmp_path / "mine.yaml").write_text(text.replace("an acacia grove", "a cedar grove"), encoding="utf-8")
    mine = load_prompt(str(tmp_path / "mine.yaml"))
    assert prompt_file_digest(mine, chat=False) != prompt_file_digest(PROMPT, chat=False)


@pytest.mark.parametrize(
    ("content", "clue"),
    [
        ("header: H\nexamples: [", "YAML"),
        ("header: H\nexamples: []\n", "examples"),
        ("header: H\nexamples:\n- {concept: a, backgrounds: [b, c]}\n", "at least 3"),
        ("header: H\nexamples:\n- {concept: a, backgrounds: [b, c, 'd, e']}\n", "d, e"),
        ("header: H\nexamples:\n" + "- {concept: a, backgrounds: [b, c, d]}\n" * 3, "two examples"),
        (None, "neither a file nor one of: backgrounds"),
    ],
)
def test_a_faulty_file_is_named_with_its_fault(tmp_path, content, clue):
    path = tmp_path / "mine.yaml"
    if content is not None:
        path.write_text(content)
    with pytest.raises(SpecError, match=clue) as caught:
        load_prompt(str(path))
    assert "\n" not in str(caught.value) and "mine.yaml" in str(caught.value)
