"""Split a module's parameters into optimiser groups by whether weight decay applies."""

from typing import Any

from torch import nn


def groups(module: nn.Module) -> list[dict[str, Any]]:
    """Optimiser groups, `decay` first.

    As in SynCLR's reference vectors (biases, norms) do not decay; all else does, position embeddings, class and mask token
    included. Scalars are a group of their own: where all else is sharded they are not, and the two do not mix.
    """
    trained = [parameter for parameter in module.parameters() if parameter.requires_grad]
    return [
        {"name": "decay", "params": [p for p in trained if p.ndim >= 2]},
        {"name": "no_decay", "params": [p for p in trained if p.ndim == 1], "weight_decay": 0.0},
        {"name": "scalars", "params": [p for p in trained if p.ndim == 0], "weight_decay": 0.0},
    ]
