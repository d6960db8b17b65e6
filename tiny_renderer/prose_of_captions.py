"""Select the captions that say what was asked, and nothing else that a scene could show, as prose for the renderer.

The rest are rejections with a reason. A caption's size and weather words become its detail.
"""

from __future__ import annotations

import gzip
import io
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path

from data_specs.caption import Caption
from data_specs.rejection import Rejection
from models.tiny_world.world import World
from tiny_renderer.captions_of_scenes import ProseSentence, file_sentence
from tiny_renderer.phrases import DETAIL_WORDS, PLACE_PHRASES

Entry = dict[str, str | None]
"""One line of the prose file; `file_sentence` reads it."""
KEPT = ("text", "kind", "concept", "strategy", "background", "relation", "other")
WEATHER = {"rainy": r"\b(rain|rains|raining|rainy)\b", "foggy": r"\b(fog|foggy|mist|misty)\b"}
SAME = {"besides": "next to"}
"""Two words for one image."""


def prose_of(captions: Iterable[Caption], world: World) -> Iterator[Entry | Rejection]:
    """One outcome per caption, in order."""
    known: set[str] = set()
    for caption in captions:
        entry: Entry = {name: getattr(caption, name) for name in KEPT}
        details = _details(caption)
        entry["detail"] = details[0] if len(details) == 1 else None
        text = caption.text.casefold().rstrip(".")
        said = file_sentence(entry, world)
        if text in known:
            yield Rejection(caption.id, "repeated", caption.text)
        elif reason := _fault(caption, said, details, world):
            yield Rejection(caption.id, reason, caption.text)
        else:
            known.add(text)
            yield entry


def _fault(caption: Caption, said: ProseSentence, details: list[str], world: World) -> str | None:
    """Why a caption would teach something wrong."""
    if caption.background is not None and not (
        said.place == caption.background and _named(caption, caption.background)
    ):
        return "place_unsaid"
    if caption.relation is not None:
        asked, found = (SAME.get(name, name) for name in (caption.relation, said.relation or ""))
        if (found, said.other) != (asked, caption.other):
            return "relation_unsaid"
    if _others(caption, world):
        return "second_object"
    weather_only = caption.kind == "place" or caption.relation is not None
    if len(details) > 1 or (details and (caption.kind == "texture" or (weather_only and details[0] not in WEATHER))):
        return "details"
    return None


def _named(caption: Caption, place: str) -> bool:
    """A whole phrase of the place, where `file_sentence` is content with one of its words."""
    phrases = (place.rstrip("s"), *PLACE_PHRASES.get(place, ()))
    return any(phrase in caption.text.casefold() for phrase in phrases)


def _others(caption: Caption, world: World) -> list[str]:
    """Concepts that the text names besides those that were asked for: a scene would not show them."""
    text = caption.text.casefold()
    for asked in (caption.concept, caption.other, caption.background):
        if asked is not None:
            text = text.replace(asked.casefold(), " ")
    return [name for name in world.names() if re.search(rf"\b{re.escape(name)}(s|es)?\b", text)]


def _details(caption: Caption) -> list[str]:
    """The sizes said of the concept itself, at most a word before it, and the weather wherever it is said."""
    text, name = caption.text.casefold(), re.escape(caption.concept.casefold().rstrip("s"))
    sizes = [
        size
        for size, (words, _) in DETAIL_WORDS.items()
        if words and re.search(rf"\b({'|'.join(words)}) (\w+ )?{name}", text)
    ]
    return sizes + [weather for weather, pattern in WEATHER.items() if re.search(pattern, text)]


def write_prose_file(outcomes: Iterable[Entry | Rejection], path: Path) -> Counter[str]:
    """Write the entries to ``path`` (JSON lines, gzip: the same entries, the same bytes), the rejections beside it.

    Returns how many were kept, and how many refused by reason.
    """
    counts: Counter[str] = Counter()
    kept, refused = io.StringIO(), io.StringIO()
    for outcome in outcomes:
        if isinstance(outcome, Rejection):
            counts[outcome.reason] += 1
            refused.write(json.dumps(asdict(outcome), ensure_ascii=False) + "\n")
        else:
            counts["kept"] += 1
            kept.write(json.dumps(outcome, ensure_ascii=False) + "\n")
    path.parent.mkdir(parents=True, exist_ok=True)
    for target, data in (
        (path.with_name(path.name.split(".")[0] + ".rejects.jsonl"), refused.getvalue().encode()),
        (path, gzip.compress(kept.getvalue().encode(), mtime=0)),
    ):
        partial = target.with_suffix(".partial")
        partial.write_bytes(data)
        partial.replace(target)
    return counts
