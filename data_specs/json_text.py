"""Read JSON that anybody may have written or damaged."""

import json
from typing import Any


def parse_json(text: str | bytes, **hooks: Any) -> Any:
    """Whatever is wrong with it is a ValueError: Python's parser ends in a RecursionError some 1,000 brackets deep.

    `hooks` are those of `json.loads`.
    """
    try:
        return json.loads(text, **hooks)
    except RecursionError:
        raise ValueError("it is nested too deeply to be read") from None
