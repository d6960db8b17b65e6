"""Small lists of our own in the formats of SynCLR's released files, quirks included, in a folder `lists`."""

import json
from pathlib import Path

LABELS = {
    "imagenet": ["tench", "missile", "sunglasses", "missile", "pizza", "Granny Smith", "sunglasses"],
    "food101": ["apple pie", "pizza"],
    "cars": ["AM General Hummer SUV 2000", "Acura RL Sedan 2012", "Audi R8 Coupe 2012"],
    "aircraft": ["707-320", "A300B4"],
    "flowers": ["oxeye daisy", "sword lily"],
    "dtd": ["banded", "blotchy"],
    "sun397": ["abbey", "church indoor", "church outdoor", "jail cell"],
    "caltech101": ["accordion"],
    "pets": ["Bengal"],
}
PLACES = ["/a/abbey 0", "/a/airfield 1", "/c/church/indoor 91", "/c/church/outdoor 92", "/j/jail_cell 196"]
SHARED = {
    "cars": ["City Street", "Desert Road"],
    "airplanes": ["Clear Sky", "Runway"],
    "food": ["Wooden Table", "Picnic Blanket"],
    "pets": ["Living Room"],
    "flowers": ["Botanical Garden"],
    "birds": ["Marsh"],
}
IMAGENET = {
    "tench": ["Muddy River", "Fishing Net"],
    "missile": ["Silo"],
    "sunglasses": ["Beach Towel"],
    "pizza": ["Pizzeria"],
    "Granny Smith": ["Orchard"],
}
IMAGENET_21K = {"accordion": ["Street Corner"], "Bengal": ["Sofa"], "tench": ["Pond"], "quoll": ["Eucalyptus Forest"]}


def write_lists(folder: Path) -> None:
    lists = folder / "lists"
    lists.mkdir()
    (lists / "places.txt").write_text("\n".join(PLACES) + "\n")
    for name, content in {
        "labels": LABELS,
        "ds_background_dict": SHARED,
        "imgnet_background_dict": IMAGENET,
        "imgnet21k_combined_background_dict": IMAGENET_21K,
    }.items():
        (lists / f"{name}.json").write_text(json.dumps(content))
