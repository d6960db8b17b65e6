"""Find words of a user's list, which no caption may hold, in a sentence."""

import hashlib
from collections.abc import Iterable

from data_specs.errors import SpecError
from tasks import storage
from tasks.captions.naming import forms, words


class UnsafeWords:
    """Words and phrases, their plurals included; whole words only, so that `ass` does not refuse a glass."""

    def __init__(self, phrases: Iterable[str] = ()) -> None:
        self._phrases = {key for phrase in phrases if (key := tuple(words(phrase)))}
        self._lengths = sorted({len(key) for key in self._phrases})

    def found(self, text: str) -> str | None:
        """The first word or phrase of the list in the text."""
        text_words = words(text)
        for length in self._lengths:
            for start in range(len(text_words) - length + 1):
                *before, last = text_words[start : start + length]
                for form in sorted(forms(last)):
                    if (*before, form) in self._phrases:
                        return " ".join((*before, form))
        return None


def load_unsafe_words(path: str | None) -> UnsafeWords:
    """Read a list with one word or phrase a line; lines that begin with `#` are remarks. None: nothing is unsafe.

    Raises SpecError.
    """
    return UnsafeWords(() if path is None else _lines(path))


def unsafe_words_digest(path: str) -> str:
    """Changes with the list, so that captions screened by another list get a lineage of their own."""
    return hashlib.sha256("\n".join(_lines(path)).encode()).hexdigest()


def _lines(path: str) -> list[str]:
    try:
        data = storage.read_bytes(path)
        text = "" if data is None else data.decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise SpecError(f"captions.unsafe_words: {path!r} cannot be read as UTF-8 text: {error}") from error
    if data is None:
        raise SpecError(f"captions.unsafe_words: there is no file {path!r}")
    lines = [line.strip() for line in text.splitlines()]
    found = [line for line in lines if line and not line.startswith("#")]
    if not found:
        raise SpecError(f"captions.unsafe_words: {path!r} lists no word; leave the setting out to refuse none")
    return found
