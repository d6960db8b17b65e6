"""`redraw` renders the same images from records; damaged shards are put aside, never deleted, and made again."""

import hashlib
import json
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from data_specs import image_group
from data_specs.errors import ContractError, SpecError
from data_specs.image_group import ImageGroup
from data_specs.stage import Stage
from flows.cli.app import app
from flows.inspect.verify import verify
from flows.repair.redraw import redraw
from flows.repair.remake import remake_damaged
from flows.runs.lineages import stages_under
from support.made_up_run import make_run
from support.shard_files import file_of
from tasks.shards import read_shard

SMALL = {"captions": {"total": 24}}


@pytest.fixture
def root(tmp_path) -> str:
    make_run(str(tmp_path), name="first", until="images", **SMALL)
    return str(tmp_path)


def images(root: str) -> Stage:
    return stages_under(root, "images")[0]


def tar_of(root: str, index: int) -> Path:
    return file_of(images(root).shard(index), "tar")


def first_group(root: str) -> ImageGroup:
    return next(read_shard(images(root).shard(0), image_group.CONTRACT))


def files(root: str) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(Path(images(root).folder).glob("images-*"))}


def test_an_image_a_group_and_a_shard_come_out_bit_identical_and_the_sealed_ones_stay(root, tmp_path):
    sealed, group = files(root), first_group(root)
    tar = tar_of(root, 0)
    tar.unlink()  # records alone: no tar is needed
    one = redraw(root, f"{group.caption.id}/2")
    assert (one["is"], one["identical"], one["count"]) == ("image", True, 1)
    assert Path(one["images"][0]["file"]).read_bytes() == group.pixels[2]
    all_four = redraw(root, group.caption.id, tmp_path / "four")
    assert [Path(found["file"]).read_bytes() for found in all_four["images"]] == list(group.pixels)
    whole = redraw(root, "images-000000", tmp_path / "whole")
    assert (whole["identical"], whole["same"], whole["count"]) == (True, 48, 48)
    assert (tmp_path / "whole" / tar.name).read_bytes() == sealed.pop(tar.name)
    assert files(root) == sealed
    with pytest.raises(SpecError, match="rendered again before"):
        redraw(root, "images-000000", tmp_path / "whole")


def test_a_record_that_does_not_match_is_reported(root):
    group = first_group(root)
    facts = json.loads((Path(images(root).folder) / "lineage.json").read_text())
    facts["spec"]["size"] = 24
    (Path(images(root).folder) / "lineage.json").write_text(json.dumps(facts))
    one = redraw(root, f"{group.caption.id}/0")
    [found] = one["images"]
    assert not one["identical"] and one["same"] == 0
    assert found["sha256"] == hashlib.sha256(Path(found["file"]).read_bytes()).hexdigest() != found["recorded_sha256"]


def test_wrong_requests_are_refused_before_an_engine_starts(root, tmp_path):
    key = first_group(root).caption.id
    for wrong, said in [("captions-000000", "no images"), (f"{key}/9", "has 4 images"), ("dog", "is no"), (
        f"{'0' * 10}-{'0' * 16}", "has the key"), ("images-000009", "has the key")]:  # fmt: skip
        with pytest.raises(SpecError, match=said):
            redraw(root, wrong)
    with pytest.raises(SpecError, match="nothing writes over"):
        redraw(root, key, Path(images(root).folder))
    facts = json.loads((Path(images(root).folder) / "lineage.json").read_text())
    facts["model"][1] = "1"
    (Path(images(root).folder) / "lineage.json").write_text(json.dumps(facts))
    with pytest.raises(SpecError, match="other weights render other images"):
        redraw(root, key)


def test_a_damaged_and_a_missing_shard_are_made_again_and_the_damaged_one_is_kept_with_the_reason(root):
    sealed, folder = files(root), Path(images(root).folder)
    tar, other = tar_of(root, 0), tar_of(root, 1)
    tar.write_bytes(b"x" + sealed[tar.name][1:])
    (folder / "images-000001.json").unlink()
    mended = remake_damaged(root, "first")
    damaged, missing = mended["repaired"]
    assert (damaged["shard"], damaged["identical"]) == ("images-000000", True)
    assert (missing["shard"], missing["identical"]) == ("images-000001", None)
    assert (Path(missing["put_aside"]) / other.name).read_bytes() == sealed[other.name]
    assert verify(root, "first")[1] == []
    again = files(root)
    assert {name: again[name] for name in sealed if "made" not in name} == {
        name: data for name, data in sealed.items() if "made" not in name
    }
    aside = Path(damaged["put_aside"])
    assert (aside / tar.name).read_bytes()[:1] == b"x"
    assert "not as sealed" in json.loads((aside / "reason.json").read_text())["faults"][0]
    assert remake_damaged(root, "first") == {"checked": 2, "repaired": []}


def test_nothing_is_put_aside_where_the_captions_are_gone_too(root):
    file_of(images(root).shard(0), "parquet").unlink()
    (Path(stages_under(root, "captions")[0].folder) / "captions-000000.json").unlink()
    with pytest.raises(ContractError, match="captions-000000"):
        remake_damaged(root, "first")
    assert not (Path(images(root).folder) / "damaged").exists()


def test_the_command_line_says_the_same_in_words_and_in_json(root):
    def synclr(*words: str) -> Result:
        return CliRunner().invoke(app, ["redraw", *words, "--root", root])

    assert json.loads(synclr(f"{first_group(root).caption.id}/1", "--json").stdout)["identical"]
    tar_of(root, 1).unlink()
    said = synclr("--missing", "first").stdout
    assert "images-000001: bit-identical to what was sealed" in said and "is missing" in said
    assert "either a KEY or --missing" in str(synclr().exception)
