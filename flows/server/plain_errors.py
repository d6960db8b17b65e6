"""Log our own errors in Prefect's runs as one line, without the traceback of Prefect's engine."""

import logging

from data_specs.errors import SynclrError


class PlainErrors(logging.Filter):
    """Our messages name the thing, its value and the way out; 190 lines of engine around them hid that."""

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        if isinstance(error, SynclrError):
            record.msg, record.args = f"{type(error).__name__}: {error}", ()
            record.exc_info = record.exc_text = None
        return True


def log_plainly() -> None:
    for runs in ("prefect.flow_runs", "prefect.task_runs"):
        logger = logging.getLogger(runs)
        if not any(isinstance(known, PlainErrors) for known in logger.filters):
            logger.addFilter(PlainErrors())
