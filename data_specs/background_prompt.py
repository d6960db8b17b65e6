"""How an LLM is asked for backgrounds: a header and in-context examples; what a user's own file is checked against."""

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from data_specs.prompt_set import ARROW, EXAMPLES_PER_PROMPT

SEPARATOR = ", "


class Places(BaseModel):
    """One line of context: an object, and places where it may be."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    concept: str = Field(min_length=1)
    backgrounds: tuple[str, ...] = Field(min_length=3)

    @field_validator("concept", "backgrounds")
    @classmethod
    def _one_line(cls, said: str | tuple[str, ...]) -> str | tuple[str, ...]:
        for text in (said,) if isinstance(said, str) else said:
            if not text or ARROW in text or "\n" in text or "," in text or text != text.strip():
                raise ValueError(f"{text!r} must be some words without {ARROW!r}, comma, or spaces around them")
        return said


class BackgroundPrompt(BaseModel):
    """`header` opens every prompt, after `system` for a chat model; each draws three of `examples`, without replacement."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    system: str | None = Field(default=None, min_length=1)
    header: str = Field(min_length=1)
    examples: tuple[Places, ...] = Field(min_length=EXAMPLES_PER_PROMPT)

    @model_validator(mode="after")
    def _distinct(self) -> "BackgroundPrompt":
        if len({example.concept for example in self.examples}) != len(self.examples):
            raise ValueError("a concept has two examples: it would be drawn twice as often")
        return self
