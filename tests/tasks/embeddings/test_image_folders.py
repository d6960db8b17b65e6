"""Folders of images as people have them: what is no image is left out by name and told, what may be a mistake is refused."""

import os
from pathlib import Path

import fsspec
import pytest

from data_specs.errors import SpecError
from data_specs.rejection import Rejection
from data_specs.specs.embeddings import ImageFolder
from support.image_files import drawn, image_folder
from tasks.embeddings.benchmark_counts import count_benchmark
from tasks.embeddings.benchmarks import OwnImages, benchmark_shards, seal_part
from tasks.embeddings.data_sets import fingerprint, prepared_images, require_usable
from tasks.shards import read_rejects


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return image_folder(tmp_path / "pets")


def of(path: Path | str) -> ImageFolder:
    return ImageFolder(name="pets", path=str(path), size=8)


def test_names_that_are_no_images_are_left_out_and_told_before_any_work(folder: Path, tmp_path: Path) -> None:
    before = fingerprint(of(folder))
    for path in list(folder.rglob("*.jpg")):
        path.with_name(f"._{path.name}").write_bytes(b"\0\5\26\7")
    (folder / "train" / "cat" / ".DS_Store").write_bytes(b"\0")
    (folder / "test" / "dog" / "Thumbs.db").write_bytes(b"\0")
    (folder / "test" / ".ipynb_checkpoints").mkdir()
    (folder / "test" / "dog" / ".ipynb_checkpoints").mkdir()
    [told] = require_usable(of(folder))
    assert told == (
        "pets: files are left out: 13 hidden: train/cat/.DS_Store, train/cat/._0.jpg, train/cat/._1.jpg, ...; "
        "1 no image name: test/dog/Thumbs.db"
    )
    source = OwnImages(of(folder), fingerprint(of(folder)))
    shards = benchmark_shards(str(tmp_path / "root"), source)
    for shard in shards:  # more than half of them are left out, and none of that is a damaged image
        seal_part(source, shard)
    rejects = [(one.key, one.reason) for shard in shards for one in read_rejects(shard)]
    assert len(rejects) == 14 and ("test/dog/Thumbs.db", "no_image_name") in rejects
    assert str(count_benchmark("pets", shards)) == (
        f"pets: 12 of 26 are images of the benchmark; left out 13 hidden, 1 no image name (benchmarks/{shards[0].lineage}"
        "/*.rejects.jsonl)"
    )
    assert fingerprint(of(folder)) != before, "what is left out is told, and so part of the benchmark"


def test_an_image_needs_no_ending(folder: Path) -> None:
    (folder / "train/cat/0.jpg").rename(folder / "train/cat/n01440764_10026")
    (folder / "train/cat/1.jpg").rename(folder / "train/cat/1.JPEG")
    assert not [one for one in prepared_images(of(folder), 0, 1) if isinstance(one, Rejection)]


def test_images_one_folder_deeper_are_refused_by_name(folder: Path) -> None:
    deep = folder / "train" / "dog" / "deep"
    deep.mkdir()
    with pytest.raises(
        SpecError, match=r"class folder train/dog holds 1 folders \(deep\), whose images would not be seen"
    ):
        fingerprint(of(folder))
    for path in (folder / "train" / "dog").glob("*.jpg"):
        path.rename(deep / path.name)
    with pytest.raises(SpecError, match=r"train/dog holds 1 folders \(deep\).*move the images up"):
        fingerprint(of(folder))


def test_links_to_nothing_and_pipes_are_refused_by_name(folder: Path) -> None:
    (folder / "train" / "cat" / "gone.jpg").symlink_to("nowhere.jpg")
    with pytest.raises(SpecError, match=r"1 of 5 names in train/cat are links to nothing, or no files \(gone.jpg\)"):
        fingerprint(of(folder))
    (folder / "train" / "cat" / "gone.jpg").unlink()
    os.mkfifo(folder / "train" / "cat" / "pipe.jpg")
    with pytest.raises(SpecError, match="pipe.jpg"):
        fingerprint(of(folder))


def test_a_class_that_is_a_link_to_nothing_is_refused_by_name(folder: Path) -> None:
    for split in ("train", "test"):
        (folder / split / "owl").symlink_to("../moved/owl")
    with pytest.raises(SpecError, match=r"1 of 3 names in train are links to nothing, or no files \(owl\)"):
        fingerprint(of(folder))


def test_images_beside_the_class_folders_are_refused_by_name_and_lists_are_not(folder: Path) -> None:
    before = fingerprint(of(folder))
    for name in ("classes.txt", "._0.jpg", "LICENSE"):
        (folder / "train" / name).touch()
    assert fingerprint(of(folder)) == before
    (folder / "train" / "loose.JPG").write_bytes(drawn(1))
    with pytest.raises(
        SpecError, match=r"train holds 1 images beside its class folders \(loose.JPG\), which would not"
    ):
        fingerprint(of(folder))


def test_a_folder_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"\('.*/nowhere' is no folder, or empty\)"):
        fingerprint(of(tmp_path / "nowhere"))


def test_a_link_to_an_image_or_to_a_class_is_as_good_as_it(folder: Path, tmp_path: Path) -> None:
    (folder / "train" / "cat").rename(tmp_path / "cat")
    (folder / "train" / "cat").symlink_to(tmp_path / "cat")
    (folder / "train" / "dog" / "linked.jpg").symlink_to(folder / "train" / "dog" / "0.jpg")
    assert len(list(prepared_images(of(folder), 0, 1))) == 13


def test_a_class_without_images_is_refused_whatever_else_it_holds(folder: Path) -> None:
    owl = folder / "train" / "owl"
    owl.mkdir()
    with pytest.raises(SpecError, match=r"class folder .*owl is empty; put images there"):
        fingerprint(of(folder))
    (owl / ".DS_Store").touch()
    (owl / "list.txt").touch()
    with pytest.raises(SpecError, match=r"owl is empty of images \(1 hidden: train/owl/.DS_Store; 1 no image name"):
        fingerprint(of(folder))


def test_one_class_is_no_benchmark(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="all images are of one class, 'images', so that every answer is right"):
        fingerprint(of(image_folder(tmp_path / "flat", ("images",))))


def test_names_that_are_not_utf8_and_folders_that_cannot_be_read_are_one_line(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad = os.fsencode(folder / "train" / "cat") + b"/caf\xe9.jpg"
    Path(os.fsdecode(bad)).write_bytes(drawn(1))
    with pytest.raises(SpecError, match="is not UTF-8; rename it"):
        fingerprint(of(folder))
    Path(os.fsdecode(bad)).unlink()

    def refuse(path: object) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(SpecError, match="pets: .*train cannot be read: Permission denied"):
        fingerprint(of(folder))


def test_images_that_nobody_can_open_are_told_before_hours_of_work(folder: Path) -> None:
    for path in folder.rglob("*.jpg"):
        path.write_bytes(b"<html>404</html>")
    with pytest.raises(SpecError, match=r"pets: 12 of 12 images tried were rejected \(unreadable 12\); repair"):
        require_usable(of(folder))
    for path in folder.rglob("*.jpg"):
        path.write_bytes(drawn(128, (8, 8)) if path.parent.name == "dog" else drawn(0, (1, 8)))
    assert require_usable(of(folder)) == ["pets: 6 of 12 images tried are of one colour"]


def test_what_is_not_tested_and_what_will_be_left_out_is_told_with_its_name_before_any_work(folder: Path) -> None:
    image_folder(folder.parent / "more", ("owl",))
    (folder.parent / "more" / "train" / "owl").rename(folder / "train" / "owl")
    (folder / "train" / "cat" / "0.jpg").write_bytes(b"")
    (folder / "train" / "cat" / ".DS_Store").touch()
    assert require_usable(of(folder)) == [
        "pets: files are left out: 1 hidden: train/cat/.DS_Store",
        "pets: 1 of 3 classes of 'train' are not in 'test' ('owl')",
        "pets: of 16 images tried will be left out: 1 unreadable (train/cat/0.jpg)",
    ]


def test_a_remote_folder_is_read_alike_and_other_sizes_are_another_data_set(folder: Path) -> None:
    remote = fsspec.filesystem("memory")
    remote.put(str(folder), "/own-images", recursive=True)
    source = of("memory://own-images")
    try:
        first = fingerprint(source)
        assert len(list(prepared_images(source, 0, 1))) == 12
        remote.pipe_file("/own-images/train/cat/0.jpg", drawn(3, (80, 80)))
        assert fingerprint(source) != first
    finally:
        remote.rm("/own-images", recursive=True)
