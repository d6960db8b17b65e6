from tasks.captions.near_duplicates import AcceptedCaptions

LONG = "A red fox sits in front of an old wooden house with blue doors and two small windows."


def kept(similarity, *texts):
    known = AcceptedCaptions(similarity)
    for text in texts:
        known.add(text)
    return known


def test_a_copy_is_a_duplicate_and_one_other_word_makes_a_near_one():
    known = kept(0.85, "A kettle on a stove.", LONG)
    assert known.refuses(LONG.upper()) == "duplicate"
    assert known.refuses(LONG.replace("windows", "doors")) == "near_duplicate"
    assert known.refuses("A red fox sits in the snow.") is None


def test_short_captions_of_one_pattern_are_not_near():
    assert kept(0.85, "A deer with antlers.").refuses("A deer with horns.") is None


def test_the_similarity_can_be_set_or_left_out():
    changed = LONG.replace("wooden", "stone").replace("blue", "green")
    assert kept(0.85, LONG).refuses(changed) is None
    assert kept(0.5, LONG).refuses(changed) == "near_duplicate"
    assert kept(None, LONG).refuses(LONG.replace("windows", "doors")) is None


def test_many_captions_find_nearly_all_near_copies_and_nothing_else():
    texts = [f"{LONG[:-1]} and number{i} beside thing{i * 7} over shape{i * 3} under line{i}." for i in range(400)]
    known = kept(0.9, *texts)
    assert sum(known.refuses(text.replace("A red", "One red")) == "near_duplicate" for text in texts) > 390
    assert all(known.refuses(f"Picture {i} of {i + 1} shows {i + 2} things near {i + 3}.") is None for i in range(400))
