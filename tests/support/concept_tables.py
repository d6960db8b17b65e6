"""Small concept tables for tests."""

from data_specs.concept import Concept
from data_specs.ids import concept_id


def made_up(name, kind="object", weight=1.0, backgrounds=("meadow", "road")):
    return Concept(concept_id(kind, name), name, kind, "other", weight, ("test",), backgrounds)


def small_table():
    objects = [made_up(name, weight=0.9 / 5) for name in ("fox", "kettle", "tram", "daisy", "otter")]
    return [*objects, made_up("harbor", "place", 0.08, ()), made_up("moss", "texture", 0.02, ())]
