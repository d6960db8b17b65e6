"""Find the caption in what a model wrote: without what stands before it, around it, or speaks to whoever asked. Pure.

What continues a text hardly writes so: of 959 completions of SmolLM2-135M under the recipe `tiny` none is read otherwise
than by its first line.
"""

import html
import re
from dataclasses import dataclass

_ENTITY = re.compile(r"&(?:#\d{1,6}|#x[\da-f]{1,5}|[a-z]{2,8}\d{0,2});", re.IGNORECASE)
_TOKEN = re.compile(r"<\|[^|<>\n]{1,40}\|>|</?s>|\[/?INST\]|<(?:start|end)_of_turn>|<eos>")
"""Special tokens that a server sends as text: what follows one is another turn."""
_FENCE = re.compile(r"\A(?:`{3,}\w*|[-*_=]{3,})\Z")
_MARKUP = re.compile(
    r"\*\*|__|`|\A[#>]+\s+|</?(?:p|b|i|u|em|strong|span|div|br|h[1-6]|(?:fig)?caption)\s*/?>", re.IGNORECASE
)
_ITEM = re.compile(r"\A(?:\(?\d{1,2}[.)]|\(?[a-h]\)|#\d{1,2}\b[.:)]?|[-*•–])\s+", re.IGNORECASE)
_COURTESY = re.compile(
    r"\A(?:sure(?: thing)?|certainly|of course|absolutely|okay|ok|al(?:l )?right|gladly|no problem|got it|understood|yes"
    r"|(?:great|good|nice|excellent)(?: (?:choice|idea|question))?)"
    r"(?:[!.:,]+(?:\s+|\Z)|\s+[-–—]\s+)",
    re.IGNORECASE,
)
_ONE = r"(?:caption|description|sentence|title|version|option|example|alt text)s?"
_HERE = re.compile(
    r"\A(?:here(?:['’]s| is| are| you go)|the following is)\b"
    rf"(?:[^:]{{0,120}}:(?:\s+|\Z)|[^:]{{0,60}}\b{_ONE}\b[^:]*\Z)",
    re.IGNORECASE,
)
_LABEL = re.compile(
    r"\A(?:(?:the|a|an|my|your|one|final|photo|image|picture|short|simple|possible|suggested)\s+)*"
    rf"(?:{_ONE}|answer|output|response|assistant)(?:\s+(?:for|of)\s+[^:.!?]{{1,80}})?(?:\s+\d{{1,2}})?"
    r"(?:\s+(?:is|are|(?:could|would|might|may|can) be))?\s*(?::(?:\s+|\Z)|\Z)"
    r"|\A(?:photo|image|picture|scene|prompt)\s*:\s+",
    re.IGNORECASE,
)
_CHATTER = re.compile(
    r"\A(?:i['’]?m (?:sorry|unable|not able)|i am (?:sorry|unable|not able)|sorry\b|i apologi[sz]e"
    r"|i (?:can ?not|can['’]?t) (?:help|write|provide|create|generate|assist|fulfil|comply|answer|describe|see|do)"
    r"|i['’]?d (?:suggest|say|go with|describe|be happy)|(?:how|what) about\b|[{\[]\s*[\"'{]"
    r"|as an? (?:ai|language)|unfortunately, i\b|<think(?:ing)?>)"
    r"|\b(?:let me know|feel free to|hope (?:this|that) helps|happy to help|language model|the user"
    r"|(?:this|the|a|your) captions?)\b",
    re.IGNORECASE,
)
_QUOTES = {'"': '"', "“": "”", "‘": "’", "'": "'", "«": "»", "„": "“", "*": "*", "_": "_", "(": ")", "[": "]"}


@dataclass(frozen=True, slots=True)
class Answer:
    """`text` is the caption, empty if there is none; `ended` is false if it was cut off; `greeting` stood before it."""

    text: str
    ended: bool
    greeting: str = ""


def caption_in(completion: str, *, chat: bool) -> Answer:
    """The first line: a base model continues with further `x => y` pairs after it. In a chat, the first line that is a caption.

    A completion without a line break was cut off at `max_tokens`, in the middle of its sentence.
    """
    if token := _TOKEN.search(completion):
        completion = f"{completion[: token.start()]}\n"
    lines = completion.lstrip(None if chat else " \t").splitlines(keepends=True)
    greeting = ""
    for number, line in enumerate(lines if chat else lines[:1], 1):
        written = " ".join(line.split())
        if text := tidied(written):
            more = number < len(lines) or completion.endswith("\n")
            return Answer(text, more if chat else "\n" in completion, greeting)
        greeting = greeting or written
    return Answer("", "\n" in completion, greeting)


def tidied(line: str) -> str:
    """Without the markup, number, greeting, label and quotation marks around a caption; empty if nothing is left."""
    text = " ".join(_ENTITY.sub(lambda entity: html.unescape(entity.group()), line).split())
    if _FENCE.match(text):
        return ""
    text, before = _MARKUP.sub("", text).strip(), ""
    while text != before:
        before = text
        for opening in (_ITEM, _COURTESY, _HERE, _LABEL):
            text = opening.sub("", text, count=1)
        text = unquoted(text.strip())
    return text


def unquoted(text: str) -> str:
    """Without quotation marks around the whole, or one whose other half is missing."""
    closing = _QUOTES.get(text[:1])
    if closing and len(text) > 1:
        inner = text[1:].rstrip(".!?") if text[-1] != closing else text[1:]
        apostrophe = closing in "'’"
        if inner.endswith(closing) and (apostrophe or not {text[0], closing} & set(inner[:-1])):
            return inner[:-1].strip() + text[len(inner) + 1 :]
    for mark in '"“”':
        if text.count(mark) == 1 and (text.startswith(mark) or text.endswith(mark)):
            return text.strip(mark).strip()
    return text


def speaks_to_the_asker(text: str, concept: str) -> bool:
    """Whether a line is an assistant's speech: an apology, an offer, a word about its caption. A concept's own words are not."""
    return bool(_CHATTER.search(text)) and not _CHATTER.search(concept)
