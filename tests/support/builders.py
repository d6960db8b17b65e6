"""Records that many tests need, made small."""

import hashlib

from data_specs.caption import Caption, Sampling
from data_specs.concept import Concept
from data_specs.ids import Lineage, caption_id, concept_id
from data_specs.image_group import Image, ImageGroup, Rendering
from data_specs.model_identity import ModelIdentity
from data_specs.shard import ShardAddress
from data_specs.stage import Stage

MODEL = ModelIdentity("fake", "0")


def make_concept(name: str = "dog", weight: float = 1.0, kind: str = "object") -> Concept:
    return Concept(concept_id(kind, name), name, kind, "animal", weight, ("test",), ("beach", "meadow"))


def make_caption(name: str = "dog", slot: int = 0, text: str | None = None, shard: int = 0) -> Caption:
    text = text or f"a {name} on the beach, number {slot}"
    concept = concept_id("object", name)
    return Caption(
        id=caption_id(concept, 0, shard, slot, text),
        text=text,
        concept_id=concept,
        concept=name,
        kind="object",
        category="animal",
        strategy="background",
        background="beach",
        relation=None,
        other=None,
        examples=("cat, sofa", "cow, farm", "fox, forest"),
        prompt_digest="0" * 16,
        model=MODEL,
        sampling=Sampling(0.8, 0.9, 48),
        seed=7,
        shard=shard,
        slot=slot,
        attempt=0,
    )


def make_group(caption: Caption | None = None, copies: int = 4) -> ImageGroup:
    caption = caption or make_caption()
    pixels = tuple(f"{caption.id} {copy}".encode() for copy in range(copies))
    images = tuple(
        Image(copy, copy, copy, 0, 64, 64, "jpg", hashlib.sha256(data).hexdigest(), {"clip": 0.5})
        for copy, data in enumerate(pixels)
    )
    return ImageGroup(caption, Rendering(MODEL, "DDIMScheduler", 50, 2.5, "", 64, 64, "float32"), images, pixels)


def stage_of(address: ShardAddress, count: int = 1) -> Stage:
    """The stage that a shard is of, with so many shards."""
    return Stage(name=address.stage, lineage=Lineage(address.lineage), folder=address.folder, count=count, facts={})
