"""Refuse, in one line and before any work, a Prefect server that is configured and cannot be worked with."""

import httpx

from data_specs.errors import SpecError, in_one_line
from flows.server.network import without_password


def require_api(url: str) -> None:
    """Raises SpecError unless a Prefect server answers at `url`, and lets us in."""
    from prefect.client.base import ServerType
    from prefect.client.orchestration import get_client
    from prefect.exceptions import PrefectHTTPStatusError
    from prefect.settings import PREFECT_API_URL, PREFECT_CLIENT_MAX_RETRIES, temporary_settings

    shown = without_password(url)
    # Prefect's client repeats what fails for minutes: here it is to say so at once.
    at_once = temporary_settings({PREFECT_API_URL: url, PREFECT_CLIENT_MAX_RETRIES: 0})
    try:
        with at_once, get_client(sync_client=True) as client:
            if client.server_type != ServerType.CLOUD:
                client.api_version()
    except (PrefectHTTPStatusError, httpx.HTTPStatusError) as error:
        raise SpecError(f"Prefect's server at {shown} {_refusal(error.response.status_code)}") from error
    except httpx.HTTPError as error:
        why = in_one_line(error)
        raise SpecError(
            f"nothing answers at {shown}, which PREFECT_API_URL names ({why}): start it, or take PREFECT_API_URL away, to "
            "have a server for the time of the run"
        ) from error
    except (ValueError, OSError, ImportError, httpx.InvalidURL) as error:
        raise SpecError(
            f"at {shown}, which PREFECT_API_URL names, is no Prefect API: such addresses end in /api"
        ) from error


def _refusal(code: int) -> str:
    from prefect.settings import PREFECT_API_AUTH_STRING

    if code in (401, 403):
        given = "refuses the one in PREFECT_API_AUTH_STRING" if PREFECT_API_AUTH_STRING.value() else "none is given"
        return f"asks for a password and {given}: set PREFECT_API_AUTH_STRING=user:password"
    if code >= 500:
        return f"fails with {code}: look into its log"
    return f"has no API there ({code}): such addresses end in /api"


def require_one_password() -> None:
    """Raises SpecError where a server of ours would ask what is started beside it for a password that it does not know."""
    from prefect.settings import PREFECT_API_AUTH_STRING, PREFECT_SERVER_API_AUTH_STRING

    if (wanted := PREFECT_SERVER_API_AUTH_STRING.value()) and wanted != PREFECT_API_AUTH_STRING.value():
        raise SpecError(
            "PREFECT_SERVER_API_AUTH_STRING gives the server a password that PREFECT_API_AUTH_STRING does not give to those "
            "who ask it: set both alike"
        )
