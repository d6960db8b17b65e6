"""The files of a split are those of its manifest, or of its exact names: all of them, none twice, nobody else's."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from data_specs.errors import SpecError
from data_specs.specs.embeddings import HuggingFaceImages
from tasks.embeddings.split_files import split_files


def put(folder: Path, *names: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).touch()


def manifest(folder: Path, *names: str, **more: object) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    listed = {"_data_files": [{"filename": name} for name in names], "_split": folder.name}
    (folder / "state.json").write_text(json.dumps(listed | more))


@pytest.fixture
def found(tmp_path: Path) -> Callable[[], list[str]]:
    source = HuggingFaceImages(name="pets", path=str(tmp_path))
    return lambda: [url.removeprefix(f"{tmp_path}/") for url in split_files(source, "train")]


def test_the_cache_of_a_map_is_no_part_of_a_saved_split(tmp_path: Path, found: Callable[[], list[str]]) -> None:
    put(tmp_path / "train", "data-00000-of-00001.arrow", "cache-2d0a1b.arrow", "tmpk2x8.arrow", "dataset_info.json")
    assert found() == ["train/data-00000-of-00001.arrow"], "by its name"
    manifest(tmp_path / "train", "data-00000-of-00001.arrow")
    assert found() == ["train/data-00000-of-00001.arrow"], "by the manifest"
    put(tmp_path / "train", "left-over.arrow")
    assert found() == ["train/data-00000-of-00001.arrow"]


def test_rows_are_in_the_order_of_the_manifest(tmp_path: Path, found: Callable[[], list[str]]) -> None:
    put(tmp_path / "train", "b.arrow", "a.arrow")
    manifest(tmp_path / "train", "b.arrow", "a.arrow")
    assert found() == ["train/b.arrow", "train/a.arrow"]


def test_a_manifest_that_cannot_be_followed_is_refused(tmp_path: Path, found: Callable[[], list[str]]) -> None:
    put(tmp_path / "train", "a.arrow")
    manifest(tmp_path / "train", "a.arrow", "b.arrow")
    with pytest.raises(SpecError, match=r"lists 2 files, of which 1 are missing \(b.arrow\)"):
        found()
    for names in ((), ("a.arrow", "a.arrow")):
        manifest(tmp_path / "train", *names)
        with pytest.raises(SpecError, match="state.json lists .*save it again"):
            found()
    for key in ("_indices_files", "_indices_data_files"):
        manifest(tmp_path / "train", "a.arrow", **{key: [{"filename": "a.arrow"}]})
        with pytest.raises(SpecError, match="chosen row numbers"):
            found()
    for text in ("", "[]", "{}", '{"_data_files": 3}', '{"_data_files": ["a.arrow"]}', "\xff"):
        (tmp_path / "train" / "state.json").write_bytes(text.encode("latin-1"))
        with pytest.raises(SpecError, match="is not the manifest of a saved split"):
            found()


def test_of_numbered_files_each_must_be_there(tmp_path: Path, found: Callable[[], list[str]]) -> None:
    put(tmp_path / "data", *(f"train-{number:05d}-of-00012.parquet" for number in range(12) if number != 7))
    with pytest.raises(
        SpecError, match=r"holds 11 of the 12 files .*train-00007-of-00012 is missing: download it again"
    ):
        found()
    put(tmp_path / "data", "train-00007-of-00012.parquet")
    assert len(found()) == 12
    (tmp_path / "data" / "train-00000-of-00012.parquet").rename(tmp_path / "data" / "train-00012-of-00012.parquet")
    assert len(found()) == 12, "some count from 1"


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (
            ("train-00000-of-00001.parquet", "train-00000-of-00002.parquet", "train-00001-of-00002.parquet"),
            "several downloads",
        ),
        (("train-00000-of-00001.parquet", "train-00000-of-00001-a09b74b3ef9c3b56.parquet"), "several downloads"),
        (("train-00000-of-00001.parquet", "train.parquet"), "may be the same rows"),
        (("train.arrow", "train.parquet"), "may be the same rows"),
    ],
)
def test_the_same_rows_twice_are_refused(
    tmp_path: Path, found: Callable[[], list[str]], names: tuple[str, ...], message: str
) -> None:
    put(tmp_path, *names)
    with pytest.raises(SpecError, match=message):
        found()


def test_a_split_in_two_places_is_refused(tmp_path: Path, found: Callable[[], list[str]]) -> None:
    put(tmp_path / "data", "train-00000-of-00001.parquet")
    put(tmp_path / "train", "0000.parquet")
    with pytest.raises(SpecError, match="the split 'train' is there twice, in .*data and in .*train; remove one"):
        found()


def test_other_splits_whose_names_begin_alike_are_not_read(tmp_path: Path, found: Callable[[], list[str]]) -> None:
    put(tmp_path / "data", "train-clean-00000-of-00001.parquet", "train.old.parquet", "train_small.parquet")
    with pytest.raises(SpecError, match="no Arrow or Parquet files of the split 'train'"):
        found()
    put(tmp_path / "data", "train-00000-of-00002.parquet", "train-00001-of-00002.parquet")
    assert found() == ["data/train-00000-of-00002.parquet", "data/train-00001-of-00002.parquet"]


def test_files_of_a_folder_of_their_own_may_have_any_names(tmp_path: Path, found: Callable[[], list[str]]) -> None:
    put(tmp_path / "train", "0000.parquet", "0001.parquet", ".hidden.parquet")
    assert found() == ["train/0000.parquet", "train/0001.parquet"]
    (tmp_path / "train" / "0000.parquet").rename(tmp_path / "train" / "de-00000-of-00001.parquet")
    (tmp_path / "train" / "0001.parquet").rename(tmp_path / "train" / "en-00000-of-00001.parquet")
    assert len(found()) == 2, "two sets, each whole"
