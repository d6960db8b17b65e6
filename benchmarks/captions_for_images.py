"""Write captions about the Tiny World by rule, so that no LLM is timed along."""

from data_specs.caption import Caption, Sampling
from data_specs.ids import caption_id, concept_id
from data_specs.model_identity import ModelIdentity
from models.tiny_world.world import read_world


def rule_captions(count: int) -> list[Caption]:
    objects = read_world().concepts
    written = []
    for slot in range(count):
        about = objects[slot * 7 % len(objects)]
        place = about.backgrounds[slot % len(about.backgrounds)]
        text = f"a photo of a {about.name} in front of a {place}"
        key = concept_id("object", about.name)
        written.append(
            Caption(
                id=caption_id(key, 0, 0, slot, text),
                text=text,
                concept_id=key,
                concept=about.name,
                kind="object",
                category=about.category,
                strategy="background",
                background=place,
                relation=None,
                other=None,
                examples=(),
                prompt_digest="",
                model=ModelIdentity("rule", "1"),
                sampling=Sampling(0.0, 1.0, 1),
                seed=0,
                shard=0,
                slot=slot,
                attempt=0,
            )
        )
    return written
