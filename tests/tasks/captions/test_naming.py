import pytest

from tasks.captions.naming import names


@pytest.mark.parametrize(
    ("text", "concept"),
    [
        ("Two foxes in the snow.", "fox"),
        ("The fox's tail is red.", "fox"),
        ("A bowl of cherries.", "cherry"),
        ("A single cherry on a cake.", "cherries"),
        ("Three mice under a table.", "mouse"),
        ("Red maple leaves on the ground.", "maple leaf"),
        ("Cups of coffee on a tray.", "cup of coffee"),
        ("A sail boat far out.", "sailboat"),
        ("An icecream in the sun.", "ice cream"),
        ("A white tshirt.", "t-shirt"),
        ("STRIPES of blue.", "stripes"),
    ],
)
def test_inflected_and_joined_names_count(text, concept):
    assert names(text, concept)


@pytest.mark.parametrize(
    ("text", "concept"),
    [("A catalogue on a desk.", "cat"), ("A dog that is hot.", "hot dog"), ("", "cat"), ("A glass.", "glas")],
)
def test_a_part_of_a_word_or_other_words_do_not(text, concept):
    assert not names(text, concept)
