"""A process without a home or a name among the users gets one, is told so, and Prefect's folder is checked before work."""

import os
import pwd
import stat
import tempfile
from pathlib import Path

import pytest

from data_specs.errors import SpecError
from flows.server.home import NAMES, require_prefect_home, settle_home


@pytest.fixture(autouse=True)
def own(monkeypatch, tmp_path):
    """The environment is put back after the test, and the folder for temporary files is the test's own."""
    for name in ("HOME", "PREFECT_HOME", "TMPDIR", *NAMES):
        monkeypatch.setenv(name, "x")
        monkeypatch.delenv(name)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


@pytest.fixture
def nobody(monkeypatch):
    def unknown(number):
        raise KeyError(f"getpwuid(): uid not found: {number}")

    monkeypatch.setattr(pwd, "getpwuid", unknown)


def read_only(monkeypatch, *folders):
    """Root may write everywhere, so what a user may not is said here."""
    may = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: str(path) not in folders and may(path, mode))


def test_a_home_that_can_be_written_stays(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert settle_home() == [] and os.environ["HOME"] == str(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "to be made"))
    assert settle_home() == []


@pytest.mark.parametrize("given", [None, "", "/", "~", "relative", "/proc/nowhere"])
def test_without_a_home_one_is_made_that_is_nobody_elses(given, nobody, monkeypatch, tmp_path):
    read_only(monkeypatch, "/", "/proc")
    if given is not None:
        monkeypatch.setenv("HOME", given)
    (line,) = settle_home()
    folder = Path(os.environ["HOME"])
    assert str(folder) in line and "set HOME to keep what is in it" in line and "\n" not in line
    assert folder == tmp_path / f"synclr-{os.getuid()}" and stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert os.environ["USER"] == f"uid-{os.getuid()}" and Path.home() == folder
    assert settle_home() == [], "it is done once"


def test_a_folder_that_another_user_has_laid_out_for_us_is_not_taken(nobody, monkeypatch, tmp_path):
    laid = tmp_path / f"synclr-{os.getuid()}"
    laid.mkdir(mode=0o777)
    laid.chmod(0o777)
    assert len(settle_home()) == 1 and os.environ["HOME"] != str(laid)


def test_where_no_folder_at_all_can_be_written_it_is_one_line(nobody, monkeypatch):
    def none(*_, **__):
        raise FileNotFoundError(2, "No usable temporary directory found")

    monkeypatch.setattr(tempfile, "gettempdir", none)
    with pytest.raises(
        SpecError, match="no folder can be written here .No usable temporary directory found.: set HOME"
    ):
        settle_home()


@pytest.mark.parametrize("file", [False, True], ids=["folder", "database"])
def test_records_that_somebody_else_owns_are_refused_before_work(file, monkeypatch, tmp_path):
    folder = tmp_path / "prefect"
    folder.mkdir()
    (folder / "prefect.db").touch()
    monkeypatch.setenv("PREFECT_HOME", str(folder))
    require_prefect_home()
    read_only(monkeypatch, str(folder / "prefect.db" if file else folder))
    with pytest.raises(
        SpecError, match=f"records in {folder}, but {folder}.* is .*'s .mode .*name another folder by PREFECT_HOME"
    ):
        require_prefect_home()


def test_home_is_where_the_records_are_by_default(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    read_only(monkeypatch, str(tmp_path))
    with pytest.raises(SpecError, match=f"records in {tmp_path}/.prefect, but {tmp_path} is"):
        require_prefect_home()
