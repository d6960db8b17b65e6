"""Recognise a chat model by what it answered where it was to continue a text. Pure."""

from collections import Counter

from data_specs.specs.captions import CaptionsSpec

CHATTER_SHARE = 0.2
EMPTY_SHARE = 0.5
"""Of all answers of a shard. SmolLM2-135M in the recipe `tiny` has none of either."""


def chat_advice(kept: int, refused: Counter[str], spec: CaptionsSpec) -> str | None:
    """What to tell of a shard's answers; None where they are a base model's, or already those of chats."""
    asked = kept + refused.total() - refused["exhausted"]
    if spec.chat or not asked:
        return None
    way_out = f"{spec.at}.chat=true asks it in turns"
    if refused["chatter"] >= CHATTER_SHARE * asked:
        return f"{spec.at}: the model answers as a chat model does (`Sure! Here is ...`), which is refused; {way_out}"
    if refused["empty"] >= EMPTY_SHARE * asked:
        return f"{spec.at}: most answers are empty or open with a line break, as those of chat models do; {way_out}"
    return None
