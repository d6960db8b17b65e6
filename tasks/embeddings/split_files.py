"""Find the files of a split of a data set on disk: by the manifest that `save_to_disk` leaves, else by their exact names.

A folder holds more than its splits: caches of `map()`, other splits whose names begin alike, an earlier download.
"""

import re
from collections import defaultdict
from collections.abc import Sequence

from data_specs.json_text import parse_json
from data_specs.specs.embeddings import HuggingFaceImages
from tasks import storage
from tasks.embeddings.refusals import refusal

MANIFEST = "state.json"
DATA_FILE = re.compile(r"(?!\.|cache-|tmp).+\.(arrow|parquet)")
"""`cache-*` and `tmp*` are what `map()` and `filter()` leave beside a split."""
NUMBERED = re.compile(r"(?P<stem>.*)-(?P<number>\d{1,6})-of-(?P<total>\d{1,6})(?:-[0-9a-f]+)?\.(?:arrow|parquet)")


def split_files(source: HuggingFaceImages, split: str) -> list[str]:
    """URLs of a split's files in the order of their rows.

    Raises SpecError where there are none, where one of several is missing, and where the same rows may be there twice.
    """
    path = source.path.rstrip("/")
    own = f"{path}/{split}"
    saved = _listed(source, own)
    beside = {folder: _beside(folder, split) for folder in (path, f"{path}/data")}
    within = saved or [name for name in storage.names(own) if DATA_FILE.fullmatch(name)]
    found = {folder: names for folder, names in (beside | {own: within}).items() if names}
    if not found:
        there = f"holds {', '.join(storage.names(path)[:10])}" if storage.names(path) else "is no folder, or empty"
        raise refusal(
            source,
            f"no Arrow or Parquet files of the split {split!r} in {path!r}, which {there}; train, validation and test name "
            "the splits",
        )
    if len(found) > 1:
        raise refusal(source, f"the split {split!r} is there twice, in {' and in '.join(found)}; remove one of them")
    [(folder, names)] = found.items()
    if not saved:
        _require_whole(source, folder, names)
    return [f"{folder}/{name}" for name in names]


def _beside(folder: str, split: str) -> list[str]:
    """`train.parquet`, `train-0001.parquet`, `train-00000-of-00002.parquet`, but not `train-clean.parquet`."""
    exact = re.compile(rf"{re.escape(split)}(-\d+(-of-\d+(-[0-9a-f]+)?)?)?\.(arrow|parquet)")
    return [name for name in storage.names(folder) if exact.fullmatch(name)]


def _listed(source: HuggingFaceImages, folder: str) -> list[str]:
    """What the manifest of a saved split lists; empty where there is no manifest."""
    text = storage.read_bytes(f"{folder}/{MANIFEST}")
    if text is None:
        return []
    try:
        state = parse_json(text)
        names = [str(file["filename"]) for file in state["_data_files"]]
        chosen = state.get("_indices_files") or state.get("_indices_data_files")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise refusal(
            source, f"{folder}/{MANIFEST} is not the manifest of a saved split ({error!r}); save it again"
        ) from error
    if chosen:
        raise refusal(
            source, f"{folder}/{MANIFEST} lists files of chosen row numbers; call flatten_indices() and save it again"
        )
    here = set(storage.names(folder))
    if absent := [name for name in names if name not in here]:
        raise refusal(
            source,
            f"{folder}/{MANIFEST} lists {len(names)} files, of which {len(absent)} are missing ({absent[0]}); copy them too, "
            "or save it again",
        )
    if not names or len(set(names)) < len(names):
        raise refusal(source, f"{folder}/{MANIFEST} lists {', '.join(names) or 'no files'}; save it again")
    return names


def _require_whole(source: HuggingFaceImages, folder: str, names: Sequence[str]) -> None:
    """Of files that say how many they are, each must be there, and once."""
    sets: dict[str, list[re.Match[str]]] = defaultdict(list)
    for name in names:
        if numbered := NUMBERED.fullmatch(name):
            sets[numbered["stem"]].append(numbered)
    if len({name.rsplit(".", 1)[-1] for name in names}) > 1 or 0 < sum(map(len, sets.values())) < len(names):
        raise refusal(
            source,
            f"{folder} holds {names[0]} and {names[-1]}, which may be the same rows; leave the files of one form there",
        )
    for stem, files in sets.items():
        numbers, totals = sorted(int(file["number"]) for file in files), sorted({int(file["total"]) for file in files})
        if len(totals) > 1 or len(set(numbers)) < len(numbers):
            listed = ", ".join(file[0] for file in files[:4])
            raise refusal(source, f"{folder} holds parts of several downloads ({listed}); leave those of one there")
        first = 1 if numbers[0] == 1 and numbers[-1] == totals[0] else 0
        if absent := sorted(set(range(first, totals[0] + first)) - set(numbers)):
            raise refusal(
                source,
                f"{folder} holds {len(numbers)} of the {totals[0]} files {stem}-*-of-{files[0]['total']}; "
                f"{stem}-{absent[0]:05d}-of-{files[0]['total']} is missing: download it again",
            )
