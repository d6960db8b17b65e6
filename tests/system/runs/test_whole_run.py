"""The run as a person runs it, with every real engine: complete, repeatable, inspected, and as README says."""

import json
import re
import shlex
from dataclasses import dataclass
from pathlib import Path

import pytest

from data_specs import caption, image_group
from data_specs.shard import ShardAddress
from data_specs.stage import STAGES
from support.command_line import ROOT, sets, times
from tasks.captions.naming import names
from tasks.shards import read_rejects, read_shard

ENCODER = "--set encoder.steps="
pytestmark = [pytest.mark.slow(120), pytest.mark.xdist_group("whole run")]


def addresses(root: Path, stage: str) -> list[ShardAddress]:
    return [
        ShardAddress(folder=str(path.parent), stage=stage, lineage=path.parent.name, index=int(path.stem.split("-")[1]))
        for path in sorted((root / stage).rglob(f"{stage}-??????.json"))
    ]


def test_six_stages_end_with_a_report_and_scores(finished, synclr):
    assert [stage["stage"] for stage in finished["stages"]] == list(STAGES)
    assert finished["scores"]
    report = Path(finished["report"]).read_text(encoding="utf-8")
    assert "<script src" not in report and "data:image/" in report


def test_every_caption_has_its_four_images_and_says_what_made_it(finished, synclr):
    captions = {
        one.id: one for each in addresses(synclr.root, "captions") for one in read_shard(each, caption.CONTRACT)
    }
    groups = [
        group
        for each in addresses(synclr.root, "images")
        for group in read_shard(each, image_group.CONTRACT, check_digest=True)
    ]
    for each in addresses(synclr.root, "captions"):
        exhausted = [int(one.key.rsplit("-", 1)[1]) for one in read_rejects(each) if one.reason == "exhausted"]
        slots = [one.slot for one in read_shard(each, caption.CONTRACT)] + exhausted
        assert sorted(slots) == list(range(8)), "every slot has its caption, or the reason why it has none"
    assert len(captions) >= 12, "the LLM hardly says cracked earth; what else it does not say depends on the processor"
    left_out = {each.key: each.reason for one in addresses(synclr.root, "images") for each in read_rejects(one)}
    assert {group.caption.id: group.caption for group in groups} == {
        key: caption for key, caption in captions.items() if key not in left_out
    }
    assert set(left_out.values()) <= {"duplicate_elsewhere", "near_duplicate_elsewhere"} and len(left_out) < 5
    for group in groups:
        assert len(group.images) == 4 and len({image.seed for image in group.images}) == 4
        assert names(group.caption.text, group.caption.concept)
        assert group.caption.model.revision and group.rendering.model.revision.startswith("sha256:")
        assert group.rendering.guidance_scale == 2.5


def test_the_same_command_again_makes_nothing(finished, synclr):
    before = times(synclr.root, *STAGES)
    again = synclr.json("run", "tiny", *sets())
    assert [stage["made"] for stage in again["stages"]] == [0] * 6
    assert times(synclr.root, *STAGES) == before


def test_status_show_trace_and_verify_agree(finished, synclr):
    status = synclr.json("status", "tiny")
    assert {row["stage"] for row in status} == set(STAGES)
    shown = synclr.json("show", "images-000000", "--name", "tiny")
    sheet = Path(shown["sheet"])
    assert sheet.read_bytes()[:4] == b"\x89PNG"
    key = next(read_shard(addresses(synclr.root, "captions")[0], caption.CONTRACT)).id
    traced = synclr.json("trace", key)
    for word in ("concept", "caption", "images", "checkpoints"):
        assert word in traced
    assert traced["prompt"]["note"] == "" and traced["concept"]["name"] in traced["prompt"]["turns"][-1]["text"]
    assert synclr.json("verify", "tiny")["faults"] == []


def test_a_damaged_shard_is_found(finished, synclr, tmp_path):
    [path] = Path(finished["stages"][2]["folder"]).glob("images-000000.*.tar")
    sound = path.read_bytes()
    try:
        path.write_bytes(sound[:-600] + b"x" + sound[-599:])
        process = synclr.start("verify", "tiny", "--json")
        out, _ = process.communicate(timeout=120)
        assert process.returncode == 1 and "not as sealed" in out
    finally:
        path.write_bytes(sound)


@dataclass
class Readme:
    """What each of its commands said; when the files of the first stages were written, before and after; encoders it added."""

    said: dict[str, str]
    before: dict[str, dict[Path, int]]
    after: dict[str, dict[Path, int]]
    encoders: dict[str, int]


@pytest.fixture(scope="module")
def readme(finished, synclr, tmp_path_factory) -> Readme:
    fences = re.findall(r"```sh\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    commands = [line for fence in fences for line in fence.strip().splitlines()]
    targets, folder = (ROOT / "Makefile").read_text(encoding="utf-8"), tmp_path_factory.mktemp("readme")
    seen = Readme({}, {}, {}, {})
    for command in commands:
        program, *arguments = shlex.split(command)
        if program == "make":
            assert re.search(rf"^{arguments[0]}:", targets, re.MULTILINE), f"the Makefile has no {arguments[0]}"
            continue
        assert program == ".venv/bin/synclr", command
        if arguments[0] == "run":  # as it stands, and cut small by what follows
            arguments += [*(sets(encoder__steps=7) if ENCODER in command else sets()), "--until", "encoder", "--json"]
        made = {"sheet.png", "drawn"}
        before, seen.before[command] = encoders(synclr.root), times(synclr.root, "concepts", "captions", "images")
        seen.said[command] = synclr(*[str(folder / word) if word in made else word for word in arguments])
        seen.after[command] = times(synclr.root, "concepts", "captions", "images")
        seen.encoders[command] = encoders(synclr.root) - before
    return seen


def encoders(root: Path) -> int:
    return sum(encoder.is_dir() for encoder in (root / "encoder").iterdir())


def test_every_command_of_the_readme_runs(readme):
    assert len(readme.said) >= 8


def test_changing_the_encoder_touches_nothing_before_it_and_says_which_field(readme, synclr):
    [command] = [command for command in readme.said if ENCODER in command]
    changed = json.loads(readme.said[command])
    assert [stage["made"] for stage in changed["stages"]] == [0, 0, 0, 1]
    assert changed["stages"][3]["stale"] == ["spec.steps 6 -> 7"]
    assert readme.after[command] == readme.before[command]
    assert readme.encoders[command] == 1
