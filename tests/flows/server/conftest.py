"""The shared Prefect server, without runs and slots at the begin of each test."""

from collections.abc import Iterator

import pytest
from prefect.client.orchestration import SyncPrefectClient, get_client


@pytest.fixture
def server(prefect_server: str, on_the_server: None) -> str:
    """Its API, which Prefect asks meanwhile."""
    return f"{prefect_server}/api"


@pytest.fixture
def client(server: str) -> Iterator[SyncPrefectClient]:
    with get_client(sync_client=True) as client:
        for run in client.read_flow_runs():
            client.delete_flow_run(run.id)
        for variable in client.read_variables():
            client.delete_variable_by_name(variable.name)
        yield client
