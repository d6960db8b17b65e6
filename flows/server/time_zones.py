"""Name the time zone in which schedules count: a nightly run is to start at night."""

import zoneinfo

from tzlocal import get_localzone_name

from data_specs.errors import SpecError

UTC = "UTC"


def local_time_zone() -> str:
    """This machine's IANA name, or that of the variable TZ; UTC where neither has a name that a server could know."""
    try:
        return checked_time_zone(get_localzone_name() or UTC)
    except (LookupError, ValueError, SpecError):  # TZ=CET-1CEST, a folder: rules without a name
        return UTC


def checked_time_zone(name: str) -> str:
    """The name itself. Raises SpecError for what is no time zone."""
    if name not in zoneinfo.available_timezones():
        raise SpecError(
            f"--time-zone {name!r} is no IANA time zone; write one such as Europe/Berlin, America/New_York or UTC"
        )
    return name
