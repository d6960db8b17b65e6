"""The whole run with real engines, cut small, made once for all tests of this folder."""

from typing import Any

import pytest

from support.command_line import CommandLine, sets


@pytest.fixture(scope="session")
def synclr(tmp_path_factory) -> CommandLine:
    return CommandLine(tmp_path_factory.mktemp("root"), tmp_path_factory.mktemp("prefect"))


@pytest.fixture(scope="session")
def finished(synclr) -> dict[str, Any]:
    """What the small run says of itself, once for all tests."""
    return synclr.json("run", "tiny", *sets())
