"""Ids that carry their lineage (concept -> caption -> image), and the seeds that follow from them."""

import hashlib
from typing import NewType

ConceptId = NewType("ConceptId", str)
CaptionId = NewType("CaptionId", str)
Lineage = NewType("Lineage", str)

DIGEST_CHARACTERS = 16
"""64 bits: among SynCLR's 1.5e8 captions the chance of any collision is about 0.06 %."""


def digest(*parts: str | int) -> str:
    """Sixteen hex characters that depend on every part, on their order, and on nothing else."""
    return hashlib.sha256("\x1f".join(map(str, parts)).encode()).hexdigest()[:DIGEST_CHARACTERS]


def seed_of(*parts: str | int) -> int:
    """A seed in [0, 2**63) that follows from ids alone, never from position in a batch, worker or time."""
    return int(hashlib.sha256("\x1f".join(map(str, parts)).encode()).hexdigest()[:16], 16) >> 1


def concept_id(kind: str, name: str) -> ConceptId:
    """One id per (kind, name): the place `forest` and the object `forest` are two concepts."""
    return ConceptId(digest("concept", kind, name)[:10])


def category_id(category: str) -> ConceptId:
    """Of what all objects of a category share; no concept's own, since no kind is called so."""
    return concept_id("category", category)


def background_id(concept: ConceptId, text: str) -> str:
    """One id per (concept, place): whoever reads a caption finds who wrote its background."""
    return f"{concept}-{digest('background', text)}"


def caption_id(concept: ConceptId, seed: int, shard: int, slot: int, text: str) -> CaptionId:
    """WebDataset cuts a key at its first dot, so the parts are joined with a dash."""
    return CaptionId(f"{concept}-{digest('caption', seed, shard, slot, text)}")


def image_seed(seed: int, caption: CaptionId, candidate: int, attempt: int = 0) -> int:
    """The start noise of one image: the same for every batch, shard order, worker and restart."""
    return seed_of("image", seed, caption, candidate, attempt)
