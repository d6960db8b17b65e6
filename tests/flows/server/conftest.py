"""A Prefect server for the tests of a file, without runs and slots at the begin of each."""

from collections.abc import Iterator

import pytest
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.settings import PREFECT_API_URL, temporary_settings

from flows.server.prefect_server import running


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Its API, which Prefect asks meanwhile."""
    home = tmp_path_factory.mktemp("server")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PREFECT_HOME", str(home))
        with running(log=home / "server.log") as address, temporary_settings({PREFECT_API_URL: f"{address}/api"}):
            yield f"{address}/api"


@pytest.fixture
def client(server: str) -> Iterator[SyncPrefectClient]:
    with get_client(sync_client=True) as client:
        for run in client.read_flow_runs():
            client.delete_flow_run(run.id)
        for variable in client.read_variables():
            client.delete_variable_by_name(variable.name)
        yield client
