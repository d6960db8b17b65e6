"""The small runs that the tests of this folder look at, each made once."""

from typing import Any

import pytest

from support.command_line import FAKE_CAPTIONS, CommandLine, sets


@pytest.fixture(scope="session")
def synclr(tmp_path_factory) -> CommandLine:
    return CommandLine(tmp_path_factory.mktemp("root"), tmp_path_factory.mktemp("prefect"))


@pytest.fixture(scope="session")
def finished(synclr) -> dict[str, Any]:
    """What the small run says of itself: every engine is real, the server is its own."""
    return synclr.json("run", "tiny", *sets())


@pytest.fixture(scope="session")
def undisturbed(prefect_server, tmp_path_factory) -> CommandLine:
    """Where a run with fake captions and the real renderer ended at its images, and nobody disturbed it."""
    synclr = CommandLine(tmp_path_factory.mktemp("root"), tmp_path_factory.mktemp("prefect"), prefect_server)
    synclr("run", "tiny", *sets(**FAKE_CAPTIONS), "--until", "images")
    return synclr
