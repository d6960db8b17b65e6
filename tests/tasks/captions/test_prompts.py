from collections import Counter

import pytest

from data_specs.errors import SpecError
from data_specs.prompt_set import PROMPT_KINDS, RELATIONS, Example
from data_specs.specs.captions import CaptionsSpec
from models.captioner.protocol import Turn, prompt_digest
from support.concept_tables import made_up
from tasks.captions.naming import names, relates
from tasks.captions.planning import CaptionPlan
from tasks.captions.prompt_files import CHAT, SETS, load_prompts, prompts_digest, prompts_of
from tasks.captions.prompts import prompt_for, write_prompt

PROMPTS = load_prompts("synclr")
FOX = Example(concept="fox", relation="on", other="tram", caption="A fox on a tram.")


@pytest.fixture(params=["synclr", "small"])
def shipped(request):
    return load_prompts(request.param)


def test_the_pools_have_the_papers_sizes(shipped):
    sizes = {kind: len(shipped.pool(kind).examples) for kind in PROMPT_KINDS}
    assert sizes == {"object": 52, "place": 33, "texture": 21, "background": 50, "relation": 20}


def test_the_relation_examples_show_each_relation_twice(shipped):
    assert Counter(example.relation for example in shipped.relation.examples) == dict.fromkeys(RELATIONS, 2)


@pytest.mark.parametrize("kind", PROMPT_KINDS)
def test_every_example_names_what_it_shows(shipped, kind):
    for example in shipped.pool(kind).examples:
        assert names(example.caption, example.concept), example
        if example.relation is not None:
            assert relates(example.caption, example.concept, example.relation, example.other), example


def test_what_small_models_see_shows_all_that_is_given_and_opens_alike():
    small = load_prompts("small")
    for kind in PROMPT_KINDS:
        for example in small.pool(kind).examples:
            assert example.caption.startswith("A photo of "), example
            assert example.background is None or names(example.caption, example.background), example


def test_a_prompt_is_header_examples_and_an_open_query():
    plan = CaptionPlan(0, 0, 0, made_up("kettle"), "relation", relation="under", other="daisy")
    assert (
        write_prompt(plan, "Header.", [FOX])
        == "Header.\n\nfox, on, tram => A fox on a tram.\n\nkettle, under, daisy =>"
    )


def test_without_a_second_noun_the_examples_lose_theirs():
    plan = CaptionPlan(0, 0, 0, made_up("kettle"), "relation", relation="under")
    assert write_prompt(plan, "Header.", [FOX]) == "Header.\n\nfox, on => A fox on a tram.\n\nkettle, under =>"


def test_a_chat_is_what_a_chat_model_is_told_the_examples_as_turns_and_the_query():
    plan = CaptionPlan(0, 0, 0, made_up("kettle"), "relation", relation="under", other="daisy")
    told = f"{PROMPTS.chat.system}\n{PROMPTS.relation.header}"
    assert prompt_for(plan, PROMPTS, [FOX], chat=True) == (
        Turn("system", told),
        Turn("user", "fox, on, tram"),
        Turn("assistant", "A fox on a tram."),
        Turn("user", "kettle, under, daisy"),
    )
    assert prompt_for(plan, PROMPTS, [FOX], chat=False) == write_prompt(plan, PROMPTS.relation.header, [FOX])


def test_a_chat_s_digest_knows_every_word_and_who_says_it():
    chats = [
        (Turn("system", "S"), Turn("user", "fox")),
        (Turn("system", "S2"), Turn("user", "fox")),
        (Turn("user", "S"), Turn("user", "fox")),
    ]
    assert len({*map(prompt_digest, chats), prompt_digest("S\nfox")}) == 4


@pytest.fixture
def own_set(tmp_path):
    for kind in PROMPT_KINDS:
        (tmp_path / f"{kind}.yaml").write_bytes((SETS / "synclr" / f"{kind}.yaml").read_bytes())
    return tmp_path


def test_a_users_own_folder_is_read_and_any_word_counts(own_set):
    assert prompts_digest(load_prompts(str(own_set)), chat=False) == prompts_digest(PROMPTS, chat=False)
    path = own_set / "object.yaml"
    path.write_text(path.read_text().replace("A steel kettle", "A copper kettle"))
    assert prompts_digest(load_prompts(str(own_set)), chat=False) != prompts_digest(PROMPTS, chat=False)


def test_what_chat_models_are_told_counts_for_chats_alone(own_set):
    spec = CaptionsSpec(prompts=str(own_set))
    texts = prompts_digest(prompts_of(spec), chat=False)
    with pytest.raises(SpecError, match=rf"captions.chat: .* has no {CHAT}.*synclr"):
        prompts_of(spec.model_copy(update={"chat": True}))
    (own_set / CHAT).write_text("system: Answer in one line.")
    told = prompts_of(spec.model_copy(update={"chat": True}))
    assert told.chat.system == "Answer in one line."
    assert prompts_digest(told, chat=False) == texts != prompts_digest(told, chat=True)
    before = prompts_digest(told, chat=True)
    (own_set / CHAT).write_text("system: Answer in one word.")
    assert prompts_digest(load_prompts(str(own_set)), chat=True) != before
    (own_set / CHAT).write_text("system: ''")
    with pytest.raises(SpecError, match="chat system"):
        load_prompts(str(own_set))


@pytest.mark.parametrize(
    ("content", "clue"),
    [
        ("header: H\nexamples: [", "YAML"),
        ("header: H\nexamples: []\n", "examples"),
        ("", "object"),
        ("header: H\nexamples:\n- {concept: a, caption: 'A => b'}\n", "=>"),
        (
            "header: H\nexamples:\n" + "".join(f"- {{concept: a{i}, background: b, caption: c}}\n" for i in range(3)),
            "a0",
        ),
        ("header: H\nexamples:\n" + "- {concept: a, caption: c}\n" * 3, "twice"),
    ],
)
def test_a_faulty_file_is_named_with_its_fault(own_set, content, clue):
    (own_set / "object.yaml").write_text(content)
    with pytest.raises(SpecError, match=clue):
        load_prompts(str(own_set))


def test_a_missing_set_or_file_is_refused(own_set):
    with pytest.raises(SpecError, match="synclr"):
        load_prompts("no_such_set")
    (own_set / "place.yaml").unlink()
    with pytest.raises(SpecError, match=r"place\.yaml"):
        load_prompts(str(own_set))
