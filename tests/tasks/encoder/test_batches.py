"""The batch of a step follows from its number; ranks share it without a rest; copies are drawn anew each time."""

import numpy as np

from data_specs.specs.encoder import EncoderSpec
from tasks.encoder.batches import Order

SPEC = EncoderSpec(captions_per_step=4, images_per_caption=2, shuffle_shards=2)


def test_a_caption_shows_other_copies_from_epoch_to_epoch_each_of_them_about_as_often() -> None:
    order, shown = Order([4, 4], 4, SPEC, 0), np.zeros((2, 4, 4), int)
    for step in range(400):
        chosen = order.choose(step)
        for (shard, row), copies in zip(chosen.places_C2, chosen.copies_CK, strict=True):
            assert len(set(copies.tolist())) == 2
            shown[shard, row, copies] += 1
    assert shown.sum() == 400 * 4 * 2
    assert shown.min() > 60 and shown.max() < 140  # of 100; six deviations of a binomial are 42


def test_a_step_and_its_copies_follow_from_its_number_and_the_seed_alone() -> None:
    asked_in_order, asked_alone = Order([4, 4], 4, SPEC, 0), Order([4, 4], 4, SPEC, 0)
    for step in range(7):
        last = asked_in_order.choose(step)
    assert np.array_equal(last.places_C2, asked_alone.choose(6).places_C2)
    assert np.array_equal(last.copies_CK, asked_alone.choose(6).copies_CK)
    assert not np.array_equal(last.copies_CK, Order([4, 4], 4, SPEC, 1).choose(6).copies_CK)


def test_ranks_share_a_step_without_a_rest_and_each_caption_keeps_its_copies() -> None:
    whole = Order([4, 4], 4, SPEC, 0).choose(3)
    parts = [whole.share(rank, 2) for rank in (0, 1)]
    assert np.array_equal(np.concatenate([part.places_C2 for part in parts]), whole.places_C2)
    assert np.array_equal(np.concatenate([part.copies_CK for part in parts]), whole.copies_CK)
