"""A vLLM server that is killed in the middle of a shard, and started again: the shard is completed, nothing twice."""

import time
from pathlib import Path

import pytest

from data_specs import caption
from data_specs.shard import ShardAddress
from support.command_line import PATIENCE_SECONDS, CommandLine
from support.vllm_server import KEY
from tasks.shards import read_rejects, read_shard, sealed

PLANNED = 24


@pytest.mark.long(180)
@pytest.mark.xdist_group("vllm serve")
def test_a_shard_outlives_its_server(vllm_server, tmp_path, monkeypatch):
    monkeypatch.setenv("SYNCLR_API_KEY", KEY)
    synclr = CommandLine(tmp_path / "root", tmp_path / "home")
    settings = {"engine": "openai", "server": vllm_server.url, "concurrency": 4, "total": PLANNED, "per_shard": PLANNED}
    asked = [
        "run",
        "tiny",
        *(f"--set=captions.{setting}={value}" for setting, value in settings.items()),
        "--until",
        "captions",
    ]
    before = vllm_server.finished()
    walking = synclr.start(*asked)
    try:
        until = time.monotonic() + 240
        while vllm_server.finished() < before + 5:
            assert walking.poll() is None and time.monotonic() < until, walking.communicate()
            time.sleep(0.05)
        vllm_server.kill()
        assert not list(Path(synclr.root).rglob("captions-000000.json")), "nothing was sealed yet"
        vllm_server.start()
        out, said = walking.communicate(timeout=PATIENCE_SECONDS)
    finally:
        walking.kill()
    assert walking.returncode == 0, said[-3000:] + out
    vllm_server.wait()

    (manifest,) = Path(synclr.root).glob("captions/*/captions-000000.json")
    address = ShardAddress(folder=str(manifest.parent), stage="captions", lineage=manifest.parent.name, index=0)
    kept, refused = list(read_shard(address, caption.CONTRACT, check_digest=True)), read_rejects(address)
    exhausted = [each for each in refused if each.reason == "exhausted"]
    slots = [each.slot for each in kept] + [int(each.key.rsplit("-", 1)[1]) for each in exhausted]
    assert sorted(slots) == list(range(PLANNED)), "every slot once"
    assert len({each.key for each in refused}) == len(refused) and len({each.text for each in kept}) == len(kept)
    assert (sealed(address).accepted, sum(sealed(address).rejected.values())) == (len(kept), len(refused))
    assert all(each.model.revision.startswith("served:sha256:") for each in kept)

    done = vllm_server.finished()
    assert [stage["made"] for stage in synclr.json(*asked)["stages"]] == [0, 0]
    assert vllm_server.finished() == done, "asked nothing"
    vllm_server.kill()
    assert synclr.json("status", "tiny")[1]["made"] == 1, "looking needs no server"
    assert synclr.json("verify", "tiny")["faults"] == []
    written = [path for path in Path(synclr.root).rglob("*") if path.is_file()]
    assert not [path for path in written if KEY.encode() in path.read_bytes()], "the key is written nowhere"
