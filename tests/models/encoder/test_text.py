"""A text tower reads a text up to its end, wherever the end's number stands among those of the vocabulary."""

import torch

from models.encoder.text import TextShape, TextTower

END = 2
"""As in many vocabularies, and unlike CLIP's, where it is the largest."""


def test_a_text_is_read_at_its_first_end_whatever_numbers_stand_before_and_after() -> None:
    torch.manual_seed(0)
    tower = TextTower(TextShape(vocabulary=10, context=6, width=16, depth=1, heads=2, out=8)).eval()
    texts = torch.tensor(
        [
            [9, 4, END, END, END, END],
            [9, 4, END, 9, 5, END],  # differs after the end alone
            [9, 5, END, END, END, END],  # differs in the last word
        ]
    )
    read, padded, other = tower(texts, END)
    assert torch.allclose(read, padded, atol=1e-6)
    assert not torch.allclose(read, other, atol=1e-4)
