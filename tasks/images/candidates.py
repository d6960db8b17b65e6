"""Decide which images of a caption to render next, and at last its group, or its Rejection with a reason. Pure.

Every caption has `drawn_per_caption` candidates. A faulty one is rendered again, with the next attempt, only while fewer
than `per_caption` are good: 7 good ones of 8 suffice to keep the best 4, and rendering is what costs.
"""

from dataclasses import dataclass, field, replace

from data_specs.caption import Caption
from data_specs.image_group import CLIP, SAFETY, Image, ImageGroup, PassedOver, Rendering
from data_specs.model_identity import ModelIdentity
from data_specs.rejection import Rejection
from data_specs.specs.images import ImagesSpec

FAULTS = ("not_finite", "constant_colour", "unsafe", "low_score", "identical_sibling")
"""Why an image is not kept, in the order of the checks."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One rendered image: encoded bytes and their stored size in pixels, or the fault for which it is rendered again."""

    fault: str | None = None
    data: bytes = b""
    width: int = 0
    height: int = 0
    sha256: str = ""
    scores: dict[str, float] = field(default_factory=dict)


def misfit(scores: dict[str, float], spec: ImagesSpec) -> str | None:
    """`unsafe` or `low_score`, where the recipe refuses that; None for an image that may be kept."""
    if spec.safety and spec.safety.policy != "keep" and unsafe(scores, spec):
        return "unsafe"
    least = spec.scorer.min_score if spec.scorer else None
    return "low_score" if least is not None and scores[CLIP] < least else None


def unsafe(scores: dict[str, float], spec: ImagesSpec) -> bool:
    return spec.safety is not None and scores[SAFETY] > spec.safety.threshold


class Candidates:
    """The images of one caption so far."""

    def __init__(self, caption: Caption, spec: ImagesSpec) -> None:
        self._caption, self._spec = caption, spec
        self._good: dict[int, tuple[Image, bytes]] = {}
        self._passed_over: list[PassedOver] = []

    def wanted(self) -> list[int]:
        """Indices of the candidates to render next: at first all."""
        if len(self._good) >= self._spec.per_caption or self._dropped:
            return []
        return [candidate for candidate in range(self._spec.drawn_per_caption) if candidate not in self._good]

    def add(self, candidate: int, seed: int, attempt: int, made: Attempt) -> None:
        reason = made.fault
        if reason is None and made.sha256 in {image.sha256 for image, _ in self._good.values()}:
            reason = "identical_sibling"
        if reason is not None:
            self._passed_over.append(PassedOver(candidate, seed, attempt, reason, made.scores))
            return
        flagged = unsafe(made.scores, self._spec)
        size, form = (made.width, made.height), self._spec.format
        image = Image(candidate, candidate, seed, attempt, *size, form, made.sha256, made.scores, flagged)
        self._good[candidate] = image, made.data

    def outcome(
        self, rendering: Rendering, truncated_tokens: int, scorer: ModelIdentity | None, checker: ModelIdentity | None
    ) -> ImageGroup | Rejection:
        """The best of the good ones, in the order of candidates; if they are too few, why the first one is missing."""
        if len(self._good) < self._spec.per_caption or self._dropped:
            return self._rejection()
        kept = sorted(sorted(self._good, key=self._worth)[: self._spec.per_caption])
        images = tuple(replace(self._good[candidate][0], copy=copy) for copy, candidate in enumerate(kept))
        ranked = [image for candidate, (image, _) in self._good.items() if candidate not in kept]
        lost = [PassedOver(image.candidate, image.seed, image.attempt, "reranked", image.scores) for image in ranked]
        return ImageGroup(
            self._caption,
            rendering,
            images,
            tuple(self._good[candidate][1] for candidate in kept),
            truncated_tokens,
            tuple(sorted([*self._passed_over, *lost], key=lambda each: (each.candidate, each.attempt))),
            scorer,
            checker,
        )

    def _worth(self, candidate: int) -> tuple[float, int]:
        return -self._good[candidate][0].scores.get(CLIP, 0.0), candidate

    def _rejection(self) -> Rejection:
        last = self._dropped or self._last_of(min(set(range(self._spec.drawn_per_caption)) - self._good.keys()))
        scores = ", ".join(f"{name} {value:g}" for name, value in sorted(last.scores.items()))
        return Rejection(self._caption.id, last.reason, self._caption.text + (f" ({scores})" if scores else ""))

    def _last_of(self, candidate: int) -> PassedOver:
        return [each for each in self._passed_over if each.candidate == candidate][-1]

    @property
    def _dropped(self) -> PassedOver | None:
        """The image for which the recipe drops this caption."""
        if self._spec.safety is None or self._spec.safety.policy != "drop":
            return None
        return next((each for each in self._passed_over if each.reason == "unsafe"), None)
