import pytest

from data_specs.run import CaptionsSpec
from tasks.captions.screening import Refusal, fingerprint, screen

SPEC = CaptionsSpec(min_words=3, max_words=8)


@pytest.mark.parametrize(
    ("completion", "reason"),
    [
        ("", "empty"),
        (" \n fox => A fox.\n", "empty"),
        (" fox => A red fox.\n", "prompt_leaked"),
        (" A fox that runs and runs and", "cut_off"),
        (" A fox.\n", "too_short"),
        (" A fox" + " and a fox" * 4 + ".\n", "too_long"),
        (" A red dog runs.\n", "concept_missing"),
    ],
)
def test_refuses(completion, reason):
    outcome = screen(completion, "fox", SPEC)
    assert isinstance(outcome, Refusal) and outcome.reason == reason


def test_keeps_the_first_line_alone_and_tidies_it():
    assert screen('  "A  red fox runs."\n\ndog => A dog.\n', "fox", SPEC) == "A red fox runs."


def test_captions_that_differ_in_case_and_full_stop_are_duplicates():
    assert fingerprint("A red Fox runs.") == fingerprint("a red fox  runs")
