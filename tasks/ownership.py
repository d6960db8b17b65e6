"""Whose a file is, and whether this process may write it."""

import os
import pwd
from pathlib import Path


def unwritable(path: Path) -> Path | None:
    """The path itself, or of one that is not there the folder that it would be made in, if this process cannot write it."""
    while not os.path.lexists(path) and path != path.parent:
        path = path.parent
    allowed = os.access(path, os.W_OK | os.X_OK if path.is_dir() else os.W_OK)
    return None if allowed else path


def owned(path: Path) -> str:
    """Whose a path is, for a message: `/data is ann's (mode 755)`."""
    status = path.lstat()
    try:
        owner = pwd.getpwuid(status.st_uid).pw_name
    except KeyError:
        owner = f"user {status.st_uid}"
    return f"{path} is {owner}'s (mode {status.st_mode & 0o7777:o})"
