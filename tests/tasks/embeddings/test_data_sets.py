"""Benchmarks of one's own: every image is accepted or refused with a reason; what cannot be judged is refused at once."""

import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from pydantic import ValidationError

from data_specs import benchmark_image as image
from data_specs import image_group
from data_specs.benchmark_image import BenchmarkImage
from data_specs.errors import SpecError
from data_specs.ids import digest
from data_specs.rejection import Rejection
from data_specs.shard import ShardAddress
from data_specs.specs.embeddings import EmbeddingsSpec, HuggingFaceImages, ImageFolder, ImageShards, OwnBenchmark
from support.builders import make_caption, make_group
from support.image_files import drawn, image_folder
from tasks.embeddings import benchmarks
from tasks.embeddings.benchmarks import (
    PARTS,
    Benchmark,
    benchmark_lineage,
    benchmark_of,
    benchmark_shards,
    seal_part,
)
from tasks.embeddings.data_sets import fingerprint, prepared_images, require_usable
from tasks.embeddings.image_shards import splits
from tasks.embeddings.pixels import resize_and_crop
from tasks.shards import make_shard, read_rejects, read_shard, sealed


def everything(source: OwnBenchmark) -> tuple[list[BenchmarkImage], list[Rejection]]:
    outcomes = [one for part in range(PARTS) for one in prepared_images(source, part, PARTS)]
    return [o for o in outcomes if isinstance(o, BenchmarkImage)], [o for o in outcomes if isinstance(o, Rejection)]


def planned(source: OwnBenchmark) -> Benchmark:
    """As a run plans it now."""
    spec = EmbeddingsSpec(benchmarks=(), data_sets=(source,))
    return benchmark_of(spec, source.name, 0, {source.name: fingerprint(source)})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return image_folder(tmp_path / "pets")


def of_folder(path: Path, **more: str) -> ImageFolder:
    return ImageFolder(name="pets", path=str(path), size=8, **more)  # type: ignore[arg-type]


def test_a_folder_is_read_once_with_its_splits_and_classes(folder: Path) -> None:
    (folder / "train" / "classes.txt").write_text("cat, dog")  # beside the classes: not one of them
    found, refused = everything(of_folder(folder))
    assert not refused
    assert sorted((one.group, one.labels) for one in found) == sorted(
        [("train", (label,)) for label in ("cat", "dog") for _ in range(4)]
        + [("test", (label,)) for label in ("cat", "dog") for _ in range(2)]
    )
    assert len({one.id for one in found}) == 12
    assert {Image.open(io.BytesIO(one.data)).size for one in found} == {(8, 8)}


def test_a_damaged_image_is_refused_by_name_and_counted(folder: Path, tmp_path: Path) -> None:
    whole = (folder / "train/cat/0.jpg").read_bytes()
    (folder / "train/cat/0.jpg").write_bytes(whole[: len(whole) // 2])
    (folder / "train/dog/1.jpg").write_bytes(b"no image")
    (folder / "test/dog/0.jpg").write_bytes(b"")
    found, refused = everything(of_folder(folder))
    assert (len(found), len(refused)) == (9, 3)
    assert {one.key for one in refused} == {"train/cat/0.jpg", "train/dog/1.jpg", "test/dog/0.jpg"}
    assert {one.reason for one in refused} == {"unreadable"}
    benchmark = planned(of_folder(folder))
    made = [(seal_part(benchmark, shard), shard) for shard in benchmark_shards(str(tmp_path / "root"), benchmark)]
    assert sum(manifest.accepted for manifest, _ in made) == 9
    assert sum(manifest.rejected.get("unreadable", 0) for manifest, _ in made) == 3
    assert sum(len(read_rejects(address)) for _, address in made) == 3
    assert sum(1 for _, address in made for _ in read_shard(address, image.CONTRACT)) == 9


def test_a_part_that_loses_most_of_its_images_stops_the_run(folder: Path, tmp_path: Path) -> None:
    for path in folder.rglob("*.jpg"):
        path.write_bytes(b"no image")
    benchmark = planned(of_folder(folder))
    with pytest.raises(SpecError, match=r"pets: 3 of 3 images .*unreadable 3"):
        seal_part(benchmark, benchmark_shards(str(tmp_path / "root"), benchmark)[0])


def test_a_data_set_that_was_edited_since_the_run_was_planned_is_not_sealed(folder: Path, tmp_path: Path) -> None:
    source = of_folder(folder)
    benchmark = planned(source)
    first, second, *_ = benchmark_shards(str(tmp_path / "root"), benchmark)
    seal_part(benchmark, first)
    (folder / "train/cat/0.jpg").write_bytes(drawn(3, (80, 80)))
    with pytest.raises(SpecError, match="pets was edited after the run was planned; run again"):
        seal_part(benchmark, second)
    assert sealed(second) is None
    again = planned(source)
    assert not {first, second} & {*benchmark_shards(str(tmp_path / "root"), again)}
    seal_part(again, benchmark_shards(str(tmp_path / "root"), again)[0])


def test_a_data_set_that_is_edited_while_it_is_read_is_not_sealed(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def edited_meanwhile(source: OwnBenchmark, part: int, parts: int) -> Iterator[BenchmarkImage | Rejection]:
        yield from prepared_images(source, part, parts)
        (folder / "train/cat/0.jpg").write_bytes(drawn(3, (80, 80)))

    monkeypatch.setattr(benchmarks, "prepared_images", edited_meanwhile)
    benchmark = planned(of_folder(folder))
    [shard, *_] = benchmark_shards(str(tmp_path / "root"), benchmark)
    with pytest.raises(SpecError, match="pets was edited"):
        seal_part(benchmark, shard)
    assert sealed(shard) is None


def test_folders_that_cannot_be_judged_are_refused_before_any_work(folder: Path) -> None:
    source = of_folder(folder)
    (folder / "train" / "owl").mkdir()
    with pytest.raises(SpecError, match=r"class folder .*owl is empty"):
        fingerprint(source)
    (folder / "train" / "owl").rename(folder / "test" / "owl")
    (folder / "test" / "owl" / "0.jpg").write_bytes(drawn(0))
    with pytest.raises(SpecError, match="'test' has the class 'owl', and 'train' has none of that name"):
        fingerprint(source)
    with pytest.raises(SpecError, match=r"holds no class folders .*holds test, train"):
        fingerprint(of_folder(folder, validation="val"))
    with pytest.raises(SpecError, match="is no folder, or empty"):
        fingerprint(of_folder(folder / "nowhere"))


def test_another_image_is_another_lineage_and_another_metric_is_not(folder: Path) -> None:
    def now(**settings: object) -> str:
        return benchmark_lineage(planned(of_folder(folder, **settings)))

    first = now()
    assert now(metric="mean_per_class") == first == now(resize=None)
    assert now(resize=9) != first
    (folder / "train/cat/0.jpg").write_bytes(drawn(3, (80, 80)))
    assert now() != first


def test_the_shorter_side_is_resampled_and_the_centre_is_cropped() -> None:
    wide = np.zeros((16, 48, 3), np.uint8)
    wide[:, 16:32] = 255
    assert np.asarray(resize_and_crop(Image.fromarray(wide), 16, 16)).min() == 255
    assert resize_and_crop(Image.new("RGB", (7, 100)), 8, 8).size == (8, 8)
    same = Image.fromarray(np.random.default_rng(0).integers(0, 256, (8, 8, 3), np.uint8))
    assert np.array_equal(np.asarray(resize_and_crop(same, 8, 8)), np.asarray(same))
    assert np.array_equal(np.asarray(resize_and_crop(same, 8, 4)), np.asarray(same)[2:6, 2:6]), (
        "as ImageNet: 256, then 224"
    )
    with pytest.raises(ValidationError, match="resize 200 is less than size 224"):
        ImageFolder(name="pets", path="/", size=224, resize=200)


def features(label: dict[str, object]) -> dict[bytes, bytes]:
    described = {"info": {"features": {"image": {"_type": "Image"}, "label": label}}}
    return {b"huggingface": json.dumps(described).encode()}


def table(shades: list[int], labels: list[object], kind: dict[str, object] | None) -> pa.Table:
    images = [{"bytes": drawn(shade), "path": f"{shade}.png"} for shade in shades]
    found = pa.table({"image": images, "label": labels})
    return found.replace_schema_metadata(features(kind)) if kind else found


NAMES = {"names": ["cat", "dog"], "_type": "ClassLabel"}


def saved(path: Path, form: str, split: str, found: pa.Table) -> None:
    """As `save_to_disk` does, or as hubs serve data sets."""
    if form == "arrow":
        (path / split).mkdir(parents=True)
        (path / split / "state.json").write_text('{"_data_files": [{"filename": "data-00000-of-00001.arrow"}]}')
        file = str(path / split / "data-00000-of-00001.arrow")
        with pa.OSFile(file, "wb") as sink, pa.ipc.new_stream(sink, found.schema) as writer:
            writer.write_table(found, max_chunksize=2)
    else:
        (path / "data").mkdir(parents=True, exist_ok=True)
        pq.write_table(found, path / "data" / f"{split}-00000-of-00001.parquet", row_group_size=2)


@pytest.mark.parametrize("form", ["arrow", "parquet"])
def test_a_hugging_face_data_set_is_read_by_arrow_alone(tmp_path: Path, form: str) -> None:
    saved(tmp_path, form, "train", table([1, 2, 3, 4, 5], [0, 1, 0, 1, 1], NAMES))
    saved(tmp_path, form, "validation", table([6], [1], NAMES))
    saved(tmp_path, form, "test", table([7, 8], [0, 1], NAMES))
    source = HuggingFaceImages(name="pets", path=str(tmp_path), validation="validation", size=8)
    found, refused = everything(source)
    assert not refused
    assert sorted((one.group, one.labels[0]) for one in found) == sorted(
        [*(("train", name) for name in ("cat", "dog", "cat", "dog", "dog")), ("validation", "dog")]
        + [("test", "cat"), ("test", "dog")]
    )
    assert len({one.id for one in found}) == 8
    assert fingerprint(source) == fingerprint(source)


def test_labels_may_be_words_or_lists_of_classes(tmp_path: Path) -> None:
    several = {"feature": NAMES, "_type": "List"}
    saved(tmp_path, "parquet", "train", table([1, 2, 3], [[0, 1], [1], []], several))
    saved(tmp_path, "parquet", "test", table([4], [[0]], [NAMES]))  # type: ignore[arg-type]
    found, _ = everything(HuggingFaceImages(name="pets", path=str(tmp_path), size=8))
    assert sorted(one.labels for one in found) == [(), ("cat",), ("cat", "dog"), ("dog",)]
    words = tmp_path / "words"
    saved(words, "parquet", "train", table([1], ["heron"], None))
    saved(words, "parquet", "test", table([1], ["heron"], None))
    found, _ = everything(HuggingFaceImages(name="birds", path=str(words), size=8))
    assert {one.labels for one in found} == {("heron",)}


def test_rows_without_pixels_or_label_are_refused_with_a_reason(tmp_path: Path) -> None:
    whole = table([1, 2, 3, 4], [0, -1, None, 7], NAMES)
    images = whole["image"].to_pylist()
    images[0] = {"bytes": None, "path": "cat.png"}
    saved(
        tmp_path, "parquet", "train", whole.set_column(0, "image", pa.array(images, whole.schema.field("image").type))
    )
    saved(tmp_path, "parquet", "test", table([4], [0], NAMES))
    found, refused = everything(HuggingFaceImages(name="pets", path=str(tmp_path), size=8))
    assert len(found) == 1
    assert sorted(one.reason for one in refused) == ["no_label", "no_label", "no_pixels", "unknown_label"]


def test_a_hugging_face_data_set_that_is_not_as_described_is_refused_at_once(tmp_path: Path) -> None:
    saved(tmp_path, "parquet", "train", table([1], [0], NAMES))
    with pytest.raises(SpecError, match=r"no Arrow or Parquet files of the split 'test' .*holds data"):
        fingerprint(HuggingFaceImages(name="pets", path=str(tmp_path)))
    saved(tmp_path, "parquet", "test", table([1], [0], NAMES))
    with pytest.raises(SpecError, match="no column 'kind'; its columns are image, label"):
        fingerprint(HuggingFaceImages(name="pets", path=str(tmp_path), label_column="kind"))
    (tmp_path / "data" / "test-00000-of-00001.parquet").write_bytes(b"PAR1")
    with pytest.raises(SpecError, match="cannot be read"):
        fingerprint(HuggingFaceImages(name="pets", path=str(tmp_path)))


def test_a_saved_data_set_is_right_whatever_a_map_left_beside_it(tmp_path: Path) -> None:
    saved(tmp_path, "arrow", "train", table([1, 2, 3, 4], [0, 1, 0, 1], NAMES))
    saved(tmp_path, "arrow", "test", table([5, 6], [0, 1], NAMES))
    flipped = table([1, 2, 3, 4], [1, 0, 1, 0], NAMES)
    for split in ("train", "test"):
        cache = str(tmp_path / split / "cache-2d0a1b.arrow")
        with pa.OSFile(cache, "wb") as sink, pa.ipc.new_stream(sink, flipped.schema) as writer:
            writer.write_table(flipped)
    found, refused = everything(HuggingFaceImages(name="pets", path=str(tmp_path), size=8))
    assert not refused and len(found) == 6
    assert sorted(one.labels[0] for one in found) == ["cat"] * 3 + ["dog"] * 3


def test_a_file_that_ends_before_its_end_is_refused_before_any_work(tmp_path: Path) -> None:
    source = HuggingFaceImages(name="pets", path=str(tmp_path), size=8)
    for split in ("train", "test"):
        saved(tmp_path, "arrow", split, table(list(range(20)), [0, 1] * 10, NAMES))
    fingerprint(source)
    file = tmp_path / "test" / "data-00000-of-00001.arrow"
    whole = file.read_bytes()
    for length in (len(whole) - 8, len(whole) // 2, 10, 0):
        file.write_bytes(whole[:length])
        with pytest.raises(SpecError, match=r"test/data-00000-of-00001.arrow cannot be read: .*; download it again"):
            fingerprint(source)


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (["a.png", "b.png"], [0, 1], "column 'image' of .* is string, and not the bytes of image files"),
        ([{"bytes": None, "path": "a.png"}] * 2, [0, 1], "not the bytes of image files"),
        ([b"", b""], [0.0, 1.0], "column 'label' of .* is double: a class is a whole number or a word"),
        ([b"", b""], [None, None], "column 'label' of .* is null"),
        ([b"", b""], [{"cat": 1}, {"cat": 0}], "column 'label' of .* is struct"),
    ],
)
def test_columns_that_hold_no_images_or_no_classes_are_refused_before_any_work(
    tmp_path: Path, images: list[object], labels: list[object], message: str
) -> None:
    for split in ("train", "test"):
        saved(tmp_path, "parquet", split, pa.table({"image": images, "label": labels}))
    with pytest.raises(SpecError, match=message):
        fingerprint(HuggingFaceImages(name="pets", path=str(tmp_path)))


@pytest.mark.parametrize("column", ["image", "label"])
@pytest.mark.parametrize("form", ["arrow", "parquet"])
def test_a_column_that_is_there_twice_is_refused(tmp_path: Path, form: str, column: str) -> None:
    once = table([1, 2], [0, 1], NAMES)
    for split in ("train", "test"):
        saved(tmp_path, form, split, once.append_column(column, once.column(column)))
    with pytest.raises(SpecError, match=f"pets: .* has the column '{column}' 2 times"):
        fingerprint(HuggingFaceImages(name="pets", path=str(tmp_path)))


def test_classes_that_one_file_names_and_another_numbers_are_refused(tmp_path: Path) -> None:
    saved(tmp_path, "parquet", "train", table([1, 2], [0, 1], NAMES))
    saved(tmp_path, "parquet", "test", table([1, 2], [0, 1], None))
    with pytest.raises(
        SpecError, match="train-00000-of-00001.parquet names the classes of 'label' and .*test-0.* does not"
    ):
        fingerprint(HuggingFaceImages(name="pets", path=str(tmp_path)))


@pytest.mark.parametrize("form", ["arrow", "parquet"])
@pytest.mark.parametrize(
    ("train", "test", "metric", "message"),
    [
        ([0, 1], [-1, -1], "top1", "no image of the split 'test' has a class"),
        ([0, 0, 1], [2], "top1", "'test' has the class 'owl', and 'train' has none of that name"),
        ([0, 0], [0], "top1", "all images are of one class, 'cat'"),
        ([[0], [0, 1]], [[1]], "mean_per_class", "an image shows cat, dog; mean_per_class needs exactly one class"),
        ([[0], [0, 1]], [[1], [0], []], "map11", None),
    ],
)
def test_labels_of_which_no_score_would_come_are_refused_before_any_work(
    tmp_path: Path, form: str, train: list[object], test: list[object], metric: str, message: str | None
) -> None:
    names = {"names": ["cat", "dog", "owl"], "_type": "ClassLabel"}
    kind = {"feature": names, "_type": "List"} if isinstance(train[0], list) else names
    saved(tmp_path, form, "train", table(list(range(len(train))), train, kind))
    saved(tmp_path, form, "test", table(list(range(len(test))), test, kind))
    source = HuggingFaceImages(name="pets", path=str(tmp_path), metric=metric, size=8)  # type: ignore[arg-type]
    fingerprint(source)
    if message is None:
        assert require_usable(source) == []
    else:
        with pytest.raises(SpecError, match=message):
            require_usable(source)


def test_image_shards_of_a_run_are_a_benchmark_too(address: Callable[..., ShardAddress]) -> None:
    data = drawn(5)
    groups = [make_group(make_caption(name, slot)) for name in ("dog", "cat") for slot in range(6)]
    groups.append(make_group(make_caption("owl", 0)))
    groups = [image_group.ImageGroup(g.caption, g.rendering, g.images, tuple(data for _ in g.images)) for g in groups]
    for index in range(2):
        make_shard(address(index, "images"), image_group.CONTRACT, lambda i=index: groups[i::2])
    source = ImageShards(name="own", path=address(0, "images").folder, size=8)
    held = {split: {one for one, its in splits(source).items() if its == split} for split in ("test", "validation")}
    found, refused = everything(source)
    assert not refused and len(found) == 13 * 4
    for split in ("test", "validation"):  # a fifth of six captions each, with all their images; owl is alone
        shown = sorted((one.labels[0], one.id) for one in found if one.group == split)
        [cat], [dog] = (
            {g.caption.id for g in groups if g.caption.concept == name} & held[split] for name in ("cat", "dog")
        )
        images = {digest("picture", "own", f"{caption}/{copy}") for caption in (cat, dog) for copy in range(4)}
        assert [name for name, _ in shown] == ["cat"] * 4 + ["dog"] * 4 and {one for _, one in shown} == images
    assert fingerprint(source) == fingerprint(source)
    with pytest.raises(SpecError, match="no sealed image shards"):
        fingerprint(ImageShards(name="own", path=f"{source.path}/nowhere"))


def test_two_benchmarks_of_one_name_are_refused(folder: Path) -> None:
    with pytest.raises(ValueError, match="two benchmarks are called 'pets'"):
        EmbeddingsSpec(data_sets=(of_folder(folder), of_folder(folder)))
    with pytest.raises(ValueError, match="two benchmarks are called 'styles'"):
        EmbeddingsSpec(data_sets=(ImageFolder(name="styles", path="x"),))
