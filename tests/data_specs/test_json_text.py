"""JSON of anybody's: whatever is wrong with it is one kind of error."""

import pytest

from data_specs.json_text import parse_json


def test_what_is_right_is_read_and_numbers_as_one_wants_them():
    assert parse_json(b'{"a": [1, null]}') == {"a": [1, None]}
    assert parse_json("[007.0]".replace("00", ""), parse_float=str) == ["7.0"]


WRONG: dict[str, str | bytes] = {
    "open": "{",
    "lists in lists": "[" * 100_000,
    "objects in objects": '{"a":' * 100_000,
    "no text": b"\xff\xfe",
    "half a word": "nul",
}


@pytest.mark.parametrize("text", WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_a_value_error_however_deep(text):
    with pytest.raises(ValueError):
        parse_json(text)
