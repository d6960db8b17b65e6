"""What every test needs: addresses in a folder of its own, a Prefect that is not the user's, its time and its turn."""

import gc
import os
import signal
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tasks.engines import EngineProcess

# What collection imports stays: looking it through for garbage takes half of its time (see `pytest_collection_finish`).
gc.disable()

# What a shell starts in its background ignores Ctrl-C, what nohup starts ignores a terminal's end: so would each test's process.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)
# Before anything imports Prefect: tests never touch a user's server or database.
os.environ.pop("PREFECT_API_URL", None)
if "PYTEST_XDIST_WORKER" in os.environ:
    # Before anything imports torch: two processes of two threads each take more time on two cores than two of one.
    os.environ |= {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}

from data_specs.shard import ShardAddress  # noqa: E402

QUICK_SECONDS = 5
"""What a test may take on two idle cores that does not say otherwise; `slow(20)` and `long(90)` do."""
PATIENCE, LEAST_PATIENCE_SECONDS = 10, 300
"""A test is waited for this many times as long as it says, since machines do other things too, and never less than this."""
SAID = "seconds it says it may take"
COLLECTED: pytest.StashKey[frozenset[str]] = pytest.StashKey()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """The tests of a file, or of a named group, run in one process, which makes once what they share; long groups come first."""
    config.stash[COLLECTED] = frozenset(item.nodeid for item in items)
    seconds: dict[str, float] = defaultdict(float)
    for item in items:
        if not item.get_closest_marker("xdist_group"):
            file = str(item.path.relative_to(config.rootpath))
            shares = "prefect_server" in getattr(item, "fixturenames", ())
            item.add_marker(pytest.mark.xdist_group("prefect server" if shares else file))
        item.user_properties.append((SAID, said_seconds(item)))
        item.add_marker(pytest.mark.timeout(max(LEAST_PATIENCE_SECONDS, PATIENCE * said_seconds(item))))
        seconds[group(item)] += said_seconds(item) if said_seconds(item) > QUICK_SECONDS else 0.1
    items.sort(key=lambda item: -seconds[group(item)])


def pytest_collection_finish() -> None:
    """From here on only what tests make is looked through: the rest, two million objects, took half a second each time."""
    gc.freeze()
    gc.enable()


def said_seconds(item: pytest.Item) -> float:
    marks = [mark for name in ("long", "slow") if (mark := item.get_closest_marker(name)) and mark.args]
    return float(marks[0].args[0]) if marks else QUICK_SECONDS


def group(item: pytest.Item) -> str:
    mark = item.get_closest_marker("xdist_group")
    assert mark
    return str(mark.args[0])


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Tests that took longer than they say, what they share with others included: told, and no failure."""
    took: dict[str, float] = defaultdict(float)
    said: dict[str, float] = {}
    for report in (each for reports in terminalreporter.stats.values() for each in reports):
        if isinstance(report, pytest.TestReport):
            took[report.nodeid] += report.duration
            said[report.nodeid] = dict(report.user_properties).get(SAID, QUICK_SECONDS)
    slower = sorted((name for name in said if took[name] > said[name]), key=lambda name: said[name] - took[name])
    if slower:
        terminalreporter.section("slower than they say (on two idle cores)")
    for name in slower:
        terminalreporter.line(f"{took[name]:6.1f} s instead of {said[name]:g}: {name}")


@pytest.fixture
def collected(pytestconfig: pytest.Config) -> frozenset[str]:
    """The ids of all tests that pytest found, those that it does not run too."""
    return pytestconfig.stash[COLLECTED]


@pytest.fixture(scope="session")
def server_log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the shared Prefect server says."""
    return tmp_path_factory.mktemp("prefect-server") / "server.log"


@pytest.fixture(scope="session")
def prefect_server(server_log: Path) -> Iterator[str]:
    """The address of a Prefect server for whoever needs one and kills none: it takes ten seconds to start."""
    from flows.server.prefect_server import running

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PREFECT_HOME", str(server_log.parent))
        # What Prefect hides of "database is locked", it is to write down.
        patch.setenv("PREFECT_SERVER_LOG_RETRYABLE_ERRORS", "true")
        patch.setenv("PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL", "WARNING")
        with running(log=server_log) as address:
            patch.undo()
            yield address


@pytest.fixture
def on_the_server(prefect_server: str) -> Iterator[None]:
    """Runs that the test starts in its own process report to that server, where each would start one.

    They send it no heartbeats, since Prefect waits up to a second for the end of those.
    """
    from prefect.settings import PREFECT_API_URL, PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings

    with temporary_settings({PREFECT_API_URL: f"{prefect_server}/api", PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}):
        yield


@pytest.fixture(scope="session")
def engine() -> Iterator["EngineProcess"]:
    """The process of an engine for whoever needs one and leaves it whole: it takes five seconds to start."""
    from tasks.engines import EngineProcess

    with EngineProcess(1) as engine:
        yield engine


@pytest.fixture
def address(tmp_path: Path) -> Callable[..., ShardAddress]:
    def make(index: int = 0, stage: str = "captions", lineage: str = "abc") -> ShardAddress:
        return ShardAddress(folder=str(tmp_path / stage / lineage), stage=stage, lineage=lineage, index=index)

    return make
