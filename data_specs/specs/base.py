"""Parts that the specs of several stages share."""

import math
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.config import JsonDict

NOT_LINEAGE: JsonDict = {"lineage": False}
"""Marks a setting outside its stage's lineage: it changes how much is made, or where, never what one shard of the stage holds."""
LINEAGE_IF_SET: JsonDict = {"lineage": "if set"}
"""Marks a setting that is part of the lineage only where it differs from its default.

For settings added later: at the default they change nothing, so shards sealed before they existed stay valid.
"""
EMPTY_IS_NONE = BeforeValidator(lambda value: None if value == {} else value)
"""For an optional nested spec: reads `{}`, which a web form sends for one that nobody filled in, as None."""


class Spec(BaseModel):
    """Part of a recipe: frozen, refuses unknown keys and numbers that are not finite."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=(), allow_inf_nan=False)


class ModelSpec(Spec):
    """Which weights to load. Subclasses narrow `model` and give it their own default and description."""

    model: str | None = Field(description="a local folder, or a hub id with `revision`")
    revision: str | None = Field(default=None, description="commit of a hub id; required for one")


def shares_sum_to_one(name: str, shares: Mapping[Any, float]) -> None:
    """Raise ValueError, which names the setting, unless all shares are at least 0 and sum to 1."""
    total = math.fsum(shares.values())
    if any(share < 0 for share in shares.values()) or abs(total - 1) > 1e-6:
        listed = ", ".join(f"{key} {value:g}" for key, value in shares.items())
        raise ValueError(f"{name} must be shares >= 0 that sum to 1; {listed} sum to {total:g}")
