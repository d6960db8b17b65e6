import pytest

from tasks.captions.naming import names, relates


@pytest.mark.parametrize(
    ("text", "concept"),
    [
        ("Two foxes in the snow.", "fox"),
        ("The fox's tail is red.", "fox"),
        ("A bowl of cherries.", "cherry"),
        ("A single cherry on a cake.", "cherries"),
        ("Three mice under a table.", "mouse"),
        ("Cacti in the sand.", "cactus"),
        ("Two firemen on a ladder.", "fireman"),
        ("Fungi on a log.", "fungus"),
        ("An old photo of axes.", "axe"),
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


@pytest.mark.parametrize(
    ("text", "relation", "said"),
    [
        ("A photo of two foxes under a pine tree.", "under", True),
        ("A fox sits beside the pine trees.", "besides", True),
        ("A fox in front of a pine tree in the snow.", "in front of", True),
        ("A fox in front of a pine tree.", "in", False),
        ("A pine tree under a fox.", "under", False),
        ("A fox and a pine tree.", "under", False),
        ("A fox under a table.", "under", False),
    ],
)
def test_a_relation_stands_between_its_two_objects(text, relation, said):
    assert relates(text, "fox", relation, "pine tree") == said


def test_a_relation_without_a_second_object_stands_after_the_first():
    assert relates("A fox behind something.", "fox", "behind", None)
    assert not relates("Behind a fox.", "fox", "behind", None)
