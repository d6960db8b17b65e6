"""The commands that a page prints do what it prints them for, typed as they stand."""

import shlex
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from flows.site.addresses import shard_page
from flows.site.app import site_app
from flows.site.site import Site
from support.command_line import CommandLine
from support.made_up_run import make_run
from support.shard_files import file_of
from support.site_root import commands_of


@pytest.mark.slow(25)
def test_a_damaged_and_a_missing_shard_are_whole_after_what_their_pages_print(
    tmp_path: Path, prefect_server: str
) -> None:
    root = tmp_path / "root"
    images = make_run(str(root), "mine", until="images").stages["images"]
    synclr = CommandLine(root, tmp_path / "home", prefect_server)
    tar = file_of(images.shard(1), "tar")
    sound, neighbour = tar.read_bytes(), file_of(images.shard(2), "tar").stat().st_mtime_ns
    tar.write_bytes(sound[:2000])
    Path(images.shard(3).file("json")).unlink()
    with TestClient(site_app(Site(str(root))), "http://127.0.0.1") as client:
        for index in (1, 3):
            address = f"/{shard_page('mine', images.shard(index))}"
            for command in commands_of(client.get(address).text):
                program, *words = shlex.split(command)
                assert program == "synclr"
                synclr(*words)
            assert "12 accepted" in client.get(address).text and not commands_of(client.get(address).text)
    assert tar.read_bytes() == sound and file_of(images.shard(2), "tar").stat().st_mtime_ns == neighbour
    assert synclr.json("verify", "mine")["faults"] == []
