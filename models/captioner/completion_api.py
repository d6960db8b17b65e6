"""Write requests of OpenAI's API, `/completions` for texts and `/chat/completions` for chats, and read their answers.

Answers are read as servers send them, and not only as they should: without `finish_reason`, the prompt before the text, a line
break before it, text in parts, nothing where a filter withheld it.
"""

import re
from collections.abc import Sequence
from typing import Any

from data_specs.specs.language_model import LanguageModelSpec
from models.captioner.chat import messages, said
from models.captioner.protocol import FILTERED, Ask, Turn

CUT = {"length", "max_tokens", "model_length", "max_output_tokens"}
FILTERS = {"content_filter", "content_policy_violation", "safety", "recitation", "blocklist", "prohibited_content"}
FAILED = {"abort", "error"}
_ENDINGS = (".", "!", "?", "…", '"', "'", "”", "’", ")")
_BREAKS = re.compile(r"\A(?:[ \t]*\r?\n)+")


def request(spec: LanguageModelSpec, prompt: str | Sequence[Turn], seed: int) -> tuple[str, dict[str, Any]]:
    """The path below a server's address, and the JSON for it."""
    sampling = {
        "model": spec.model,
        "seed": seed,
        "temperature": spec.temperature,
        "top_p": spec.top_p,
        "max_tokens": spec.max_tokens,
    }
    if isinstance(prompt, str):
        return "completions", sampling | {"prompt": prompt, "stop": ["\n"]}
    # Without a stop: many answers open with a line break, or a line that is no caption.
    return "chat/completions", sampling | {"messages": messages(prompt)}


def read(body: Any, ask: Ask, most_tokens: int) -> str:
    """The completion in an answer's JSON, as `Captioner.complete` gives it. Raises ValueError if it holds none."""
    try:
        choice = body["choices"][0]
        reason = str(choice.get("finish_reason") or "").casefold()
        if reason in FAILED:
            raise ValueError(f"finish_reason {reason!r}")
        if reason in FILTERS:
            return FILTERED
        text = _text(choice)
        cut = (
            reason in CUT
            if reason
            else _seems_cut(text, (body.get("usage") or {}).get("completion_tokens"), most_tokens)
        )
    except (KeyError, IndexError, TypeError, AttributeError) as error:
        raise ValueError(f"no text in it ({type(error).__name__} {error})") from error
    if not isinstance(ask.prompt, str):
        return said(text, ended=not cut)
    line, broken, _ = _BREAKS.sub("", text.removeprefix(ask.prompt)).partition("\n")
    return line + ("\n" if broken or not cut else "")


def withheld(body: Any) -> bool:
    """Whether an error says that a filter refused the prompt: one of the concepts, and no fault of the request's form."""
    error = body.get("error") if isinstance(body, dict) else None
    return isinstance(error, dict) and str(error.get("code")).casefold() in FILTERS


def _text(choice: Any) -> str:
    """The text of a completion, of a message, or of a message in parts; a refusal is one too. None counts as empty."""
    message = choice.get("message")
    text = choice["text"] if message is None else message["content"]
    if text is None:
        text = (message or {}).get("refusal") or ""
    if isinstance(text, list):
        parts = [part if isinstance(part, str) else part.get("text", "") for part in text if _is_text(part)]
        text = "".join(parts)
    if not isinstance(text, str):
        raise TypeError(f"text {text!r:.80}")
    # Half of a character beyond 16 bits is no text that can be kept.
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _is_text(part: Any) -> bool:
    return isinstance(part, str) or part.get("type", "text") in ("text", "output_text")


def _seems_cut(text: str, tokens: Any, most_tokens: int) -> bool:
    """For servers that send no `finish_reason`: by the tokens they counted, else by whether the text ends as a sentence does."""
    if isinstance(tokens, int) and tokens > 0:
        return tokens >= most_tokens
    return bool(text.strip()) and "\n" not in text.strip() and not text.rstrip().endswith(_ENDINGS)
