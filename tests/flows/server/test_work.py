"""The worker of `synclr ui` does not send a person to the logs of a run that has said in its state what went wrong."""

import sys

from prefect._internal import infrastructure_exit_codes as exits

from flows.server import work


def test_what_the_worker_writes_after_a_failed_run_points_to_its_state_message(monkeypatch, capsys):
    hints = dict(exits.INFRASTRUCTURE_EXIT_HINTS)
    monkeypatch.setattr(exits, "INFRASTRUCTURE_EXIT_HINTS", hints)
    monkeypatch.setattr(work, "INFRASTRUCTURE_EXIT_HINTS", hints)
    monkeypatch.setattr(sys, "argv", ["prefect", "version"])
    try:
        work.main()
    except SystemExit as ended:
        assert not ended.code
    hint = exits.get_infrastructure_exit_info(work.FAILED)
    assert (
        "State Message" in hint.explanation
        and not hint.resolution
        and "unhandled exception" not in hint.explanation + hint.resolution
    )
    assert "3.7" in capsys.readouterr().out
