"""One vLLM server for the tests of this folder: it takes half a minute to start."""

from collections.abc import Iterator

import pytest

from support.vllm_server import VllmServer


@pytest.fixture(scope="session")
def vllm_server(tmp_path_factory) -> Iterator[VllmServer]:
    server = VllmServer(tmp_path_factory.mktemp("vllm"))
    server.start()
    try:
        server.wait()
        yield server
    finally:
        server.kill()
