"""A person reads one line of what went wrong; what is not ours keeps its traceback."""

import logging

from data_specs.errors import ContractError
from flows.server.plain_errors import log_plainly


def test_our_errors_are_one_line_and_foreign_ones_keep_their_traceback(caplog, monkeypatch):
    logger = logging.getLogger("prefect.flow_runs")
    monkeypatch.setattr(logger, "propagate", True)
    monkeypatch.setattr(logging.getLogger("prefect"), "propagate", True)
    log_plainly()
    log_plainly()
    for error in (ContractError("captions-000001.tar is damaged"), ZeroDivisionError("one by none")):
        try:
            raise error
        except Exception:
            logger.exception("Encountered exception during execution: %r", error)
    ours, foreign = caplog.records
    assert ours.getMessage() == "ContractError: captions-000001.tar is damaged" and not ours.exc_info
    assert foreign.exc_info and "one by none" in foreign.getMessage()
    assert sum(type(known).__name__ == "PlainErrors" for known in logger.filters) == 1
