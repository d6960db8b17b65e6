"""A table of a paper, to be made again: which recipes it compares, and what the paper found."""

from typing import Any

from pydantic import Field, model_validator

from data_specs.specs.base import Spec


class Variant(Spec):
    """One row: what is turned, by stage, and the paper's figures in the order of `columns`; null where it has none."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,30}$")
    says: str
    set: dict[str, dict[str, Any]] = {}
    paper: tuple[float | None, ...]


class Reproduction(Spec):
    """Variants differ in the settings they name and in nothing else; stages before the first difference are shared."""

    title: str
    source: str
    columns: tuple[str, ...]
    recipe: str = "tiny"
    set: dict[str, dict[str, Any]] = {}
    variants: tuple[Variant, ...] = Field(min_length=2)

    @model_validator(mode="after")
    def _rows(self) -> "Reproduction":
        names = [variant.name for variant in self.variants]
        if len(set(names)) < len(names):
            raise ValueError(f"two variants have one name: {', '.join(names)}")
        for variant in self.variants:
            if len(variant.paper) != len(self.columns):
                raise ValueError(
                    f"variant {variant.name!r} has {len(variant.paper)} figures for {len(self.columns)} columns"
                )
        return self
