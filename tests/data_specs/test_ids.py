"""Ids and seeds follow from their parts, from all of them, and from nothing else."""

from hypothesis import given, settings
from hypothesis import strategies as st

from data_specs.ids import caption_id, concept_id, digest, image_seed, seed_of


@settings(deadline=None)
@given(
    st.lists(
        st.text(alphabet=st.characters(exclude_characters="\x1f", exclude_categories=["Cs"]), min_size=1),
        min_size=1,
        max_size=4,
    )
)
def test_a_digest_depends_on_every_part(parts):
    assert digest(*parts) == digest(*parts)
    for place in range(len(parts)):
        changed = [*parts[:place], parts[place] + "x", *parts[place + 1 :]]
        assert digest(*changed) != digest(*parts)
    assert digest(*parts, "") != digest(*parts)


def test_keys_hold_no_dot_because_webdataset_cuts_there():
    assert "." not in caption_id(concept_id("object", "U.S. dollar"), 0, 3, 4, "a U.S. dollar.")


def test_ten_thousand_images_have_ten_thousand_seeds():
    seeds = {image_seed(0, f"caption-{caption}", copy) for caption in range(2500) for copy in range(4)}
    assert len(seeds) == 10_000
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_a_redrawn_image_starts_from_other_noise():
    assert image_seed(0, "c", 1, 0) != image_seed(0, "c", 1, 1)
    assert seed_of("a", 1) == seed_of("a", "1")
