import pytest

from data_specs.errors import SpecError
from data_specs.specs.captions import CaptionsSpec
from models.captioner.protocol import FILTERED
from support.concept_tables import made_up
from tasks.captions.planning import CaptionPlan
from tasks.captions.prompt_files import load_prompts
from tasks.captions.screening import Refusal, Screen, fingerprint
from tasks.captions.unsafe_words import UnsafeWords, load_unsafe_words, unsafe_words_digest

PROMPTS = load_prompts("synclr")
UNSAFE = UnsafeWords(["gun", "dead body", "Ass"])


def verdict(completion, *, concept="fox", background=None, relation=None, other=None, **settings):
    spec = CaptionsSpec(**{"min_words": 3, "max_words": 16} | settings)
    strategy = "background" if background else "relation" if other else "concept"
    plan = CaptionPlan(0, 0, 0, made_up(concept), strategy, background=background, relation=relation, other=other)
    return Screen(spec, PROMPTS, UNSAFE).verdict(completion, plan)


def reason(completion, **settings):
    outcome = verdict(completion, **settings)
    return outcome.reason if isinstance(outcome, Refusal) else None


HEADER = PROMPTS.pool("object").header.split(". ")[-1]
EXAMPLE = PROMPTS.pool("object").examples[0]


@pytest.mark.parametrize(
    ("completion", "broken"),
    [
        ("", "empty"),
        (" \n fox => A fox.\n", "empty"),
        (" fox => A red fox.\n", "prompt_leaked"),
        (f" fox: {HEADER}\n", "prompt_leaked"),
        (" A fox that runs and runs and", "cut_off"),
        (" A fox.\n", "too_short"),
        (" A fox" + " and a fox" * 8 + ".\n", "too_long"),
        (" A red dog runs.\n", "concept_missing"),
        (" Ein fox mit der roten Rute im Schnee.\n", "wrong_language"),
        (" Un fox dans la neige avec une balle.\n", "wrong_language"),
        (" fox рыжая лиса бежит по снегу.\n", "wrong_language"),
        (" 一只红色的狐狸 fox 在 雪地里 奔跑 着。\n", "wrong_language"),
        (" A fox is a fox is a fox.\n", "repetition"),
        (" A fox and two guns on a table.\n", "unsafe"),
        (" A fox beside a dead body.\n", "unsafe"),
        (" Sure! Here is a caption for fox:\n", "chatter"),
        (" Sure! Here is a caption for fox:\n A fox in the snow.\n", "chatter"),
        (" I'm sorry, but I cannot help with a fox.\n", "chatter"),
        (" A fox in the snow. Let me know if you want another.\n", "chatter"),
        ("<think>\n", "chatter"),
        (FILTERED, "filtered"),
    ],
)
def test_refuses(completion, broken):
    assert reason(completion) == broken


@pytest.mark.parametrize(
    "completion",
    [
        " A red fox in the snow, and a second fox behind it.\n",
        " fox, red fur, white snow\n",
        " A fox from La Paz, en route to a café.\n",
        " A fox with a glass of water.\n",
        " A fox at dusk 🦊.\n",
    ],
)
def test_keeps(completion):
    assert verdict(completion) == completion.strip()


def test_an_example_of_the_prompt_given_as_the_answer_is_leaked():
    assert reason(f" {EXAMPLE.caption.upper()}\n", concept=EXAMPLE.concept, max_words=40) == "prompt_leaked"


@pytest.mark.parametrize(
    ("completion", "off"),
    [
        (" fox -> A red fox.\n", {"refuse_leaked": False}),
        (" A red dog runs.\n", {"require_concept": False}),
        (" Ein fox mit der roten Rute im Schnee.\n", {"language": None}),
        (" A fox is a fox is a fox.\n", {"repeated_words": None}),
        (" The user sees a fox.\n", {"refuse_chatter": False}),
        (" A fox is a fox.\n", {"repeated_words": 3}),
    ],
)
def test_a_rule_can_be_set(completion, off):
    assert reason(completion, **off) is None


def test_backgrounds_and_second_objects_are_asked_for_only_if_the_recipe_says_so():
    assert reason(" A fox in the snow.\n", background="old forest") is None
    assert reason(" A fox in the snow.\n", background="old forest", require_background=True) == "background_missing"
    assert reason(" A fox in old forests.\n", background="old forest", require_background=True) is None
    assert reason(" A fox in the snow.\n", other="kettle", require_other=True) == "other_missing"
    assert reason(" A fox in the snow.\n", require_background=True, require_other=True, require_relation=True) is None
    swapped = {"completion": " A kettle under a fox.\n", "relation": "under", "other": "kettle", "require_other": True}
    assert reason(**swapped) is None
    assert reason(**swapped, require_relation=True) == "relation_missing"


def test_a_name_in_another_alphabet_or_language_does_not_make_the_sentence_foreign():
    assert reason(" A bowl of phở in the sun.\n", concept="phở") is None
    assert reason(" A crème de la crème on a plate.\n", concept="crème de la crème") is None


def test_a_list_of_unsafe_words_is_read_and_is_part_of_the_lineage(tmp_path):
    path = tmp_path / "unsafe.txt"
    path.write_text("# remarks\n\ngun\nDead  body\n", encoding="utf-8")
    before = unsafe_words_digest(str(path))
    assert load_unsafe_words(str(path)).found("Two dead bodies.") == "dead body"
    assert load_unsafe_words(str(path)).found("A gunner.") is None
    assert load_unsafe_words(None).found("A gun.") is None
    path.write_text("gun\n", encoding="utf-8")
    assert unsafe_words_digest(str(path)) != before


@pytest.mark.parametrize(("content", "said"), [(None, "there is no file"), (b"# no\n", "no word"), (b"\xff", "UTF-8")])
def test_a_list_of_unsafe_words_that_cannot_be_read_is_refused(tmp_path, content, said):
    path = tmp_path / "unsafe.txt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SpecError, match=said):
        load_unsafe_words(str(path))


def test_keeps_the_first_line_alone_and_tidies_it():
    assert verdict('  "A  red fox runs."\n\ndog => A dog.\n') == "A red fox runs."


def test_in_a_chat_the_first_caption_counts_whatever_lines_stand_around_it():
    answer = 'Sure! Here is a caption for fox:\n\n1. "A red fox runs."\n2. "A fox sleeps."\n\nLet me know if you need more!\n'
    assert verdict(answer, chat=True) == "A red fox runs."
    assert reason(answer) == "chatter"


@pytest.mark.parametrize(
    ("answer", "broken"),
    [
        ("", "cut_off"),  # all that it was allowed to say was reasoning
        ("\n", "empty"),
        ("Sure! Here is a caption:\n", "chatter"),
        ("Sure! Here is a fox in the", "cut_off"),
        ("I'm sorry, but I cannot write about a fox.\n\nIs there anything else?\n", "chatter"),
        (f"{PROMPTS.chat.system}\n", "prompt_leaked"),
    ],
)
def test_what_a_chat_model_answers_instead_of_a_caption_is_refused(answer, broken):
    assert reason(answer, chat=True) == broken


def test_captions_that_differ_in_case_and_full_stop_are_duplicates():
    assert fingerprint("A red Fox runs.") == fingerprint("a red fox  runs")
