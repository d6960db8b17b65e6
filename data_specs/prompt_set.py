"""The header and the in-context examples of each kind of prompt; what a user's own prompt files are checked against."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

PromptKind = Literal["object", "place", "texture", "background", "relation"]
PROMPT_KINDS: tuple[PromptKind, ...] = ("object", "place", "texture", "background", "relation")
"""SynCLR's five headers: `c -> caption` has one for each kind of concept, the other two strategies have one each."""

RELATIONS = ("in", "on", "next to", "behind", "in front of", "over", "under", "above", "below", "besides")
"""The ten of SynCLR's released script, in its spelling."""

EXAMPLES_PER_PROMPT = 3
ARROW = "=>"
"""Stands between what is given and the caption, in every example and at the end of the open query."""


class Example(BaseModel):
    """One line of context: what was given, and a caption that shows it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    concept: str = Field(min_length=1)
    background: str | None = None
    relation: Literal[RELATIONS] | None = None  # type: ignore[valid-type]
    other: str | None = None
    caption: str = Field(min_length=1)

    @field_validator("concept", "background", "other", "caption")
    @classmethod
    def _one_line(cls, text: str | None) -> str | None:
        if text is not None and (ARROW in text or "\n" in text or text != text.strip()):
            raise ValueError(f"{text!r} must be one line without {ARROW!r} and without spaces around it")
        return text


class PromptPool(BaseModel):
    """`header` opens every prompt of this kind; each prompt draws three of `examples`, without replacement."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    header: str = Field(min_length=1)
    examples: tuple[Example, ...] = Field(min_length=EXAMPLES_PER_PROMPT)

    @model_validator(mode="after")
    def _distinct(self) -> "PromptPool":
        if len(set(self.examples)) != len(self.examples):
            raise ValueError("an example stands in the list twice: it would be drawn twice as often")
        return self


class ChatPrompt(BaseModel):
    """What a chat model is told before the header; examples and query are then turns of the chat."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    system: str = Field(min_length=1)


class PromptSet(BaseModel):
    """One pool per kind of prompt, and what chat models are told; a set for base models alone needs no `chat`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    object: PromptPool
    place: PromptPool
    texture: PromptPool
    background: PromptPool
    relation: PromptPool
    chat: ChatPrompt | None = None

    @model_validator(mode="after")
    def _complete(self) -> "PromptSet":
        for kind in PROMPT_KINDS:
            for example in self.pool(kind).examples:
                _check_parts(kind, example)
        return self

    def pool(self, kind: PromptKind) -> PromptPool:
        pool: PromptPool = getattr(self, kind)
        return pool


def _check_parts(kind: PromptKind, example: Example) -> None:
    wanted = {"background"} if kind == "background" else {"relation", "other"} if kind == "relation" else set[str]()
    found = {name for name in ("background", "relation", "other") if getattr(example, name) is not None}
    if found != wanted:
        raise ValueError(
            f"{kind} example {example.concept!r} must give concept, caption"
            f"{''.join(f' and {name}' for name in sorted(wanted))}; it gives {sorted(found) or 'no more'}"
        )
