"""A home folder and a user's name for what Prefect, the hub and compilers keep and ask, where a process has none.

Containers started with `--user` have no entry among the users and often HOME=/, which they cannot write.
"""

import os
import pwd
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

from data_specs.errors import SpecError
from tasks.ownership import owned, unwritable

NAMES = ("LOGNAME", "USER", "LNAME", "USERNAME")
"""Where Python looks for the user's name, before the list of users."""


def settle_home() -> list[str]:
    """Put HOME and USER of this process right, for it and all that it starts; returns what a person should know.

    Raises SpecError where no folder at all can be written.
    """
    return list(_settled())


def _settled() -> Iterator[str]:
    if _entry() is None and not any(os.environ.get(name) for name in NAMES):
        os.environ["USER"] = f"uid-{os.getuid()}"
    home = os.environ.get("HOME") or _entry()
    if home and Path(home).is_absolute() and _trouble(Path(home)) is None:
        return
    os.environ["HOME"] = own = _own_folder()
    yield f"there is no home folder that can be written (HOME={home or ''}): {own} is used; set HOME to keep what is in it"


def require_prefect_home() -> None:
    """Raises SpecError if Prefect could not keep its records where it is to."""
    home = os.environ.get("PREFECT_HOME")
    folder = Path(home).expanduser() if home else Path.home() / ".prefect"
    if trouble := _trouble(folder) or _trouble(folder / "prefect.db", make=False):
        raise SpecError(
            f"Prefect is to keep its records in {folder}, but {trouble}: name another folder by PREFECT_HOME"
        )


def _trouble(path: Path, *, make: bool = True) -> str | None:
    """Why a path cannot be written; None if it can. A folder that is not there is made: some places cannot, whoever asks."""
    if wrong := unwritable(path):
        return owned(wrong)
    try:
        if make:
            path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        return f"it cannot be made ({error.strerror})"
    return None


def _entry() -> str | None:
    try:
        return pwd.getpwuid(os.getuid()).pw_dir
    except KeyError:
        return None


def _own_folder() -> str:
    """The same at every start, and nobody else's: it may hold a database and keys."""
    try:
        folder = Path(tempfile.gettempdir(), f"synclr-{os.getuid()}")
        folder.mkdir(mode=0o700, exist_ok=True)
        status = folder.lstat()
        if stat.S_ISDIR(status.st_mode) and status.st_uid == os.getuid() and not status.st_mode & 0o077:
            return str(folder)
        return tempfile.mkdtemp(prefix="synclr-")
    except OSError as error:
        raise SpecError(
            f"no folder can be written here ({error.strerror or error}): set HOME, or TMPDIR, to one"
        ) from error
