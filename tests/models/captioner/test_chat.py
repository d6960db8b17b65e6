"""Chats by a tokenizer's template: which folder has one, what becomes of templates of their own mind, answers that reason."""

import json

import pytest

from data_specs.errors import SpecError
from models.captioner.chat import begins_reasoning, encode_turns, has_chat_template, said, without_system
from models.captioner.protocol import Turn

TURNS = (Turn("system", "Answer."), Turn("user", "owl"), Turn("assistant", "An owl."), Turn("user", "fox"))


class Templated:
    """A tokenizer whose tokens are characters, with a template that may know no system prompt."""

    def __init__(self, system=True, template="a template", opens=""):
        self.chat_template, self._system, self._opens = template, system, opens
        self.asked = []

    def apply_chat_template(self, messages, **settings):
        self.asked.append(settings)
        if not self._system and messages[0]["role"] == "system":
            raise ValueError("System role not supported")
        return list("".join(f"[{each['role']}]{each['content']}" for each in messages).encode() + self._opens.encode())

    def decode(self, tokens):
        return bytes(tokens).decode()


def test_a_chat_is_encoded_up_to_the_answer_and_models_that_can_do_not_reason():
    tokenizer = Templated()
    text = "[system]Answer.[user]owl[assistant]An owl.[user]fox"
    assert bytes(encode_turns(tokenizer, TURNS, "captions.chat")).decode() == text
    assert tokenizer.asked == [
        {"add_generation_prompt": True, "tokenize": True, "return_dict": False, "enable_thinking": False}
    ]


def test_a_template_without_a_system_role_gets_the_system_prompt_in_the_first_question():
    text = bytes(encode_turns(Templated(system=False), TURNS, "captions.chat")).decode()
    assert text == "[user]Answer.\n\nowl[assistant]An owl.[user]fox"
    assert without_system(TURNS[1:]) == TURNS[1:]


def test_a_model_without_a_template_and_a_template_that_refuses_all_are_one_line():
    with pytest.raises(SpecError, match=r"captions.chat: the model has no chat template.*captions.chat=false"):
        encode_turns(Templated(template=None), TURNS, "captions.chat")
    with pytest.raises(
        SpecError, match="captions.chat: the model's chat template refuses the turns: System role not supported"
    ):
        encode_turns(Templated(system=False), TURNS[:1], "captions.chat")


@pytest.mark.parametrize(
    ("opens", "found"), [("<think>\n", True), ("[THINK]", True), ("", False), ("</think>\n\n", False)]
)
def test_a_template_that_opens_the_reasoning_is_seen(opens, found):
    tokenizer = Templated(opens=opens)
    assert begins_reasoning(tokenizer, encode_turns(tokenizer, TURNS, "captions.chat")) == found


@pytest.mark.parametrize(
    ("text", "ended", "reasoning", "wanted"),
    [
        ("A fox.", True, False, "A fox.\n"),
        ("A fox.\n", False, False, "A fox."),
        (" \n A fox.\n\nAn owl.\n", True, False, "A fox.\n\nAn owl.\n"),
        ("<think>\nA fox?\n</think>\n\nA fox.", True, False, "A fox.\n"),
        ("<think></think><think>No.</think>A fox.", True, False, "A fox.\n"),
        ("A fox?</think>A fox.", True, True, "A fox.\n"),
        ("A fox? That is", False, True, ""),
        ("<Thinking>A fox?", True, False, "\n"),
        ("analysisA fox?assistantfinalA fox.", True, False, "A fox.\n"),
        ("An analysis of a fox.", True, False, "An analysis of a fox.\n"),
    ],
)
def test_an_answer_is_what_follows_the_reasoning(text, ended, reasoning, wanted):
    assert said(text, ended=ended, reasoning=reasoning) == wanted


@pytest.mark.parametrize(
    ("files", "found"),
    [
        ({"tokenizer_config.json": {"chat_template": "{{ messages }}"}}, True),
        ({"tokenizer_config.json": {"chat_template": [{"name": "default", "template": "{{ messages }}"}]}}, True),
        ({"tokenizer_config.json": {}, "chat_template.jinja": "{{ messages }}"}, True),
        ({"tokenizer_config.json": {}, "chat_template.json": {"chat_template": ""}}, True),
        ({"tokenizer_config.json": {"eos_token": "</s>"}}, False),
        ({"tokenizer_config.json": []}, None),
        ({}, None),
    ],
)
def test_a_folder_says_by_its_tokenizer_s_files_whether_its_model_holds_chats(tmp_path, files, found):
    for name, content in files.items():
        (tmp_path / name).write_text(json.dumps(content))
    assert has_chat_template(str(tmp_path), None) is found
