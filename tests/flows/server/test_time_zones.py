"""Schedules count in a time zone that has a name: the one that is asked for, or this machine's."""

from collections.abc import Callable

import pytest

from data_specs.errors import SpecError
from flows.server.deployments import schedules
from flows.server.time_zones import checked_time_zone, local_time_zone


@pytest.fixture
def zone_of(monkeypatch: pytest.MonkeyPatch) -> Callable[[str | None], str]:
    def zone(variable: str | None) -> str:
        monkeypatch.delenv("TZ", raising=False)
        if variable is not None:
            monkeypatch.setenv("TZ", variable)
        monkeypatch.setattr("tzlocal.unix._cache_tz_name", None)  # asked once a process
        return local_time_zone()

    return zone


@pytest.mark.parametrize("name", ["Europe/Berlin", ":America/New_York", "UTC"])
def test_the_zone_of_tz_goes_before_the_machines(zone_of: Callable[[str | None], str], name: str) -> None:
    assert zone_of(name) == name.removeprefix(":")


@pytest.mark.parametrize("rules", ["CET-1CEST", "No/Where"])
def test_a_tz_without_a_name_leaves_the_machines_zone(zone_of: Callable[[str | None], str], rules: str) -> None:
    assert zone_of(rules) == zone_of(None)


def test_a_machine_whose_zone_has_no_name_counts_in_utc(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (None, "", "CET-1CEST"):
        monkeypatch.setattr("flows.server.time_zones.get_localzone_name", lambda name=name: name)
        assert local_time_zone() == "UTC"


def test_every_schedule_has_the_zone_that_was_asked_for() -> None:
    made = schedules(checked_time_zone("Europe/Berlin"))
    assert {(each.slug, each.cron, each.timezone, each.active) for each in made} == {
        ("nightly-growth", "0 2 * * *", "Europe/Berlin", False),
        ("weekly-training", "0 6 * * 0", "Europe/Berlin", False),
    }


@pytest.mark.parametrize("name", ["Berlin", "", "../etc/passwd", "Europe/Berlin\n", "+02:00"])
def test_what_is_no_time_zone_is_refused(name: str) -> None:
    with pytest.raises(SpecError, match="no IANA time zone; write one such as Europe/Berlin"):
        checked_time_zone(name)
