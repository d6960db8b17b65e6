import pytest
import torch

from models.captioner.nucleus import keep_nucleus


def by_sorting(logits, top_p):
    """One row: the textbook rule, token by token."""
    probability = logits.softmax(dim=-1)
    kept, mass = torch.full_like(logits, -torch.inf), 0.0
    for token in probability.argsort(descending=True).tolist():
        if mass >= top_p:
            break
        kept[token] = logits[token]
        mass += float(probability[token])
    return kept


@pytest.mark.parametrize("spread", [0.1, 3.0, 30.0])
@pytest.mark.parametrize("top_p", [0.05, 0.5, 0.9, 0.99])
def test_is_the_sorted_rule_whether_the_head_holds_the_nucleus_or_not(spread, top_p):
    logits_NV = torch.randn(4, 300, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * spread
    wanted = torch.stack([by_sorting(row, top_p) for row in logits_NV])
    assert torch.equal(keep_nucleus(logits_NV, top_p, head=20), wanted)
