"""Read what may be damaged, where one damaged file is to hide nothing else."""

from collections.abc import Callable
from typing import ParamSpec, TypeVar

import pyarrow as pa

from data_specs.errors import SynclrError, in_one_line

Asked = ParamSpec("Asked")
Found = TypeVar("Found")
UNREADABLE = (SynclrError, OSError, pa.ArrowException, ValueError, LookupError, TypeError)
"""What reading a file that somebody has damaged may raise."""


def readable(read: Callable[Asked, Found], *asked: Asked.args, **named: Asked.kwargs) -> tuple[Found | None, str]:
    """What a function reads, or None and why it cannot be read: one damaged file hides nothing else."""
    try:
        return read(*asked, **named), ""
    except UNREADABLE as error:
        return None, in_one_line(error)
