"""A list of images holds no pixel, and suffices to make the shards again, byte by byte."""

import gzip
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from data_specs import image_list
from data_specs.errors import ContractError, SpecError
from flows.cli.app import app
from flows.repair.image_lists import rebuild, write_list
from flows.runs.lineages import stages_under
from models.renderer.fake import FakeRenderer
from support.made_up_run import make_run


class Spoilt(FakeRenderer):
    """Always renders one colour for number 3 of a shard, so that its caption is refused."""

    def render(self, drawings):
        images = super().render(drawings)
        for drawing, image in zip(drawings, images, strict=True):
            if drawing.text.endswith(("no. 3", "no. 15")):
                image[:] = 0
        return images


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> str:
    folder = str(tmp_path_factory.mktemp("root"))
    make_run(folder, name="first", until="images", renderer=Spoilt(16), captions={"total": 24})
    return folder


@pytest.fixture(scope="module")
def listed(root, tmp_path_factory) -> Path:
    file = tmp_path_factory.mktemp("list") / "images.jsonl.gz"
    found = write_list(root, "first", file)
    assert (found["shards"], found["images"]) == (2, 88)
    return file


def shards(root: str) -> dict[str, bytes]:
    folder = Path(stages_under(root, "images")[0].folder)
    return {path.name: path.read_bytes() for path in folder.glob("images-*") if "made" not in path.name}


def test_shards_are_rebuilt_byte_by_byte_elsewhere_with_their_refusals_and_a_second_time_nothing_is(
    root, listed, tmp_path
):
    words = ["rebuild", str(listed), "--root", str(tmp_path), "--json"]
    found = json.loads(CliRunner().invoke(app, words).stdout)
    assert (found["made"], found["identical"], found["shards"]) == (2, 2, 2)
    assert (found["same"], found["images"], found["different"]) == (88, 88, [])
    assert shards(str(tmp_path)) == shards(root) and len(shards(root)) == 8
    assert rebuild(str(tmp_path), listed)["made"] == 0


def test_the_same_run_is_the_same_list_and_smaller_than_its_images(root, listed, tmp_path):
    words = ["list-images", "first", str(tmp_path / "again.jsonl.gz"), "--root", root]
    assert "88 images of 2 shards" in CliRunner().invoke(app, words).stdout
    assert (tmp_path / "again.jsonl.gz").read_bytes() == listed.read_bytes()
    assert listed.read_bytes()[4:8] == bytes(4), "gzip's time of writing"
    assert listed.stat().st_size < sum(len(data) for name, data in shards(root).items() if name.endswith("tar")) / 3


def test_a_list_that_was_changed_or_cut_is_refused(listed, tmp_path):
    lines = gzip.decompress(listed.read_bytes()).splitlines(keepends=True)
    head = json.loads(lines[0])
    head["head"]["facts"]["seed"] = 7
    for changed, said in [
        ([json.dumps(head).encode() + b"\n", *lines[1:]], "another digest"),
        (lines[1:], "does not begin with a head"),
        (lines[:-1], "were sealed"),
        ([*lines, b'{"other": 1}\n'], "nobody declared"),
    ]:
        with pytest.raises(ContractError, match=said):
            list(image_list.decode(changed)[1])
    (tmp_path / "cut.gz").write_bytes(listed.read_bytes()[:200])
    with pytest.raises(ContractError, match="cut short"):
        rebuild(str(tmp_path), tmp_path / "cut.gz")
    assert not (tmp_path / "images").exists()
    with pytest.raises(SpecError, match="there is no list"):
        rebuild(str(tmp_path), tmp_path / "none.gz")
    with pytest.raises(SpecError, match="no run"):
        write_list(str(tmp_path), "nobody", tmp_path / "x.gz")
