"""One of several processes that run the same recipe side by side, with nothing between them but the root that they share."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from data_specs.errors import SpecError

WRITTEN = re.compile(r"\s*(\d{1,9})\s*/\s*(\d{1,9})\s*")


@dataclass(frozen=True, slots=True)
class Slice:
    """The `number`-th (from 1) of `of` processes: every `of`-th shard of a stage is its own."""

    number: int
    of: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """From `2/8`. Raises SpecError."""
        found = WRITTEN.fullmatch(text)
        number, of = (int(found[1]), int(found[2])) if found else (0, 0)
        if not 1 <= number <= of:
            raise SpecError(
                f"--slice {text!r} must be I/N with I from 1 to N, such as 2/8 for the second of eight processes; an indexed job "
                "of Kubernetes counts from 0: $((JOB_COMPLETION_INDEX + 1))/8"
            )
        return cls(number, of)

    def share(self, indices: Sequence[int]) -> list[int]:
        return [index for index in indices if index % self.of == self.number - 1]

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"
