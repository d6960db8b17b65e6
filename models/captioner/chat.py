"""Ask chat models in turns: by their tokenizer's chat template, and with what they reasoned taken out of their answers."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from data_specs.errors import SpecError, in_one_line
from data_specs.json_text import parse_json
from models.captioner.protocol import Turn
from models.weights import cached

TEMPLATE_FILES = ("chat_template.jinja", "chat_template.json")
"""Beside the field `chat_template` of tokenizer_config.json, where it stood alone until 2025."""
_TAG = r"think|thinking|thought|reasoning|seed:think"
_REASONED = re.compile(rf"\A.*(?:</(?:{_TAG})>|\[/THINK\])|\Aanalysis.*?assistantfinal", re.DOTALL | re.IGNORECASE)
"""Up to its last end; the last form is OpenAI's harmony without its special tokens."""
_OPENING = rf"(?:<(?:{_TAG})>|\[THINK\])"
_REASONS = re.compile(rf"\A\s*{_OPENING}", re.IGNORECASE)
_OPENED = re.compile(rf"{_OPENING}\s*\Z", re.IGNORECASE)


def messages(turns: Sequence[Turn]) -> list[dict[str, str]]:
    """As templates and servers want them."""
    return [{"role": turn.role, "content": turn.text} for turn in turns]


def without_system(turns: Sequence[Turn]) -> tuple[Turn, ...]:
    """The system prompt at the beginning of the user's first turn, for models whose templates know no such role."""
    if len(turns) < 2 or turns[0].role != "system":
        return tuple(turns)
    return (Turn(turns[1].role, f"{turns[0].text}\n\n{turns[1].text}"), *turns[2:])


def encode_turns(tokenizer: Any, turns: Sequence[Turn], setting: str) -> list[int]:
    """The tokens of a chat, up to where the model's answer begins. Raises SpecError if the template refuses it.

    Models that can be told so do not reason first: a caption's `max_tokens` would be spent before it begins.
    """
    if getattr(tokenizer, "chat_template", "unknown") is None:
        raise SpecError(
            f"{setting}: the model has no chat template, so it holds no chats; {setting}=false has it continue text"
        )
    failed: Exception | None = None
    for form in dict.fromkeys((tuple(turns), without_system(turns))):
        try:
            return list(
                tokenizer.apply_chat_template(
                    messages(form), add_generation_prompt=True, tokenize=True, return_dict=False, enable_thinking=False
                )
            )
        except Exception as error:  # the template's own, of whatever class its library has
            failed = failed or error
    assert failed is not None
    raise SpecError(f"{setting}: the model's chat template refuses the turns: {in_one_line(failed, 200)}") from failed


def begins_reasoning(tokenizer: Any, prompt: Sequence[int]) -> bool:
    """Whether the template itself opens the reasoning, so that the answer holds its end alone."""
    return bool(_OPENED.search(str(tokenizer.decode(list(prompt[-8:])))))


def said(text: str, *, ended: bool, reasoning: bool = False) -> str:
    """An answer without its reasoning, with a line break at its end if it `ended`; empty if all of it was reasoning.

    `reasoning`: the prompt had opened it.
    """
    answer = _REASONED.sub("", f"<think>{text}" if reasoning else text, count=1)
    return ("" if _REASONS.match(answer) else answer.strip()) + ("\n" if ended else "")


def has_chat_template(model: str, revision: str | None) -> bool | None:
    """Whether a folder's or hub id's tokenizer has one, by its files; None where they cannot be looked at. Loads nothing."""
    if (config := _file(model, revision, "tokenizer_config.json")) is None:
        return None
    try:
        if parse_json(config.read_bytes()).get("chat_template"):
            return True
    except (OSError, ValueError, AttributeError):
        return None
    return any(_file(model, revision, name) is not None for name in TEMPLATE_FILES)


def _file(model: str, revision: str | None, name: str) -> Path | None:
    folder = Path(model).expanduser()
    if folder.is_dir():
        return folder / name if (folder / name).is_file() else None
    if found := cached(model, revision, name):
        return found
    from huggingface_hub import hf_hub_download

    try:
        # Whoever has the configuration in the cache has all that there is.
        kept = cached(model, revision, "tokenizer_config.json") is not None
        return Path(hf_hub_download(model, name, revision=revision, local_files_only=kept))
    except Exception:  # not on the hub, not to be had, or no hub: whoever loads the model says it better
        return None
