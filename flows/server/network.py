"""Keep what this machine says to itself away from the proxies and certificates that the environment names.

Prefect's client takes both from there, and a flow's process that a worker starts asks its server before any code of ours runs.
So it is the environment that is put right, for this process and all that it starts.
"""

import os
import re
import ssl
from collections.abc import Iterator
from contextlib import contextmanager

LOOPBACK = ("127.0.0.1", "localhost", "::1", "0.0.0.0")
PROXIES = {f"{scheme}_proxy" for scheme in ("http", "https", "all", "ws", "wss", "socks")}
NO_PROXY = ("NO_PROXY", "no_proxy")
"""Libraries read one or the other."""
NOWHERE = "http://127.0.0.1:9"
"""In place of a proxy that cannot be used: whoever wanted one gets no answer, and goes nowhere past it."""
CERTIFICATES = ("SSL_CERT_FILE", "PREFECT_API_SSL_CERT_FILE")
KEYS = "SSLKEYLOGFILE"


def reach_loopback() -> list[str]:
    """Put this process's environment right; returns in words what could not be used, without any password.

    Does nothing the second time.
    """
    return [*_proxies(), *_certificates()]


def without_password(url: str) -> str:
    """To be shown: whatever stands before the last @ of the host is a name and a password."""
    return re.sub(r"//[^/]*@", "//***@", url)


def _proxies() -> Iterator[str]:
    named = {name: value for name, value in os.environ.items() if name.lower() in PROXIES and value}
    # One that has no_proxy in small letters, empty even, is read by that alone.
    exempt = [each.strip() for each in os.environ.get("no_proxy", os.environ.get("NO_PROXY", "")).split(",")]
    if not named or "*" in exempt:
        return
    for name, value in named.items():
        if trouble := _trouble({name: value}):
            os.environ[name] = NOWHERE
            yield f"{name}={without_password(value)} {trouble}: nothing beyond this machine can be reached until that is mended"
    listed = [each for each in dict.fromkeys(exempt) if each]
    usable = [each for each in listed if not _trouble({"NO_PROXY": each})]
    if lost := [each for each in listed if each not in usable]:
        yield f"NO_PROXY: {', '.join(lost)} cannot be read by all that would have to, and is left out"
    for name in NO_PROXY:
        os.environ[name] = ",".join(dict.fromkeys([*usable, *LOOPBACK]))


def _trouble(setting: dict[str, str]) -> str | None:
    """What httpx, by which Prefect and the hub are asked, has against a setting; None if nothing."""
    import httpx

    with _environment({"HTTP_PROXY": NOWHERE} | setting):
        try:
            httpx.Client(verify=False).close()
        except ImportError:
            return "needs the package socksio (pip install 'httpx[socks]')"
        except (ValueError, httpx.InvalidURL):
            return "is no proxy that can be used (http://, https:// or socks5://)"
    return None


@contextmanager
def _environment(proxies: dict[str, str]) -> Iterator[None]:
    """For the block, these are all settings of proxies that there are."""
    before = {name: os.environ.pop(name) for name in list(os.environ) if name.lower() in {*PROXIES, "no_proxy"}}
    os.environ.update(proxies)
    try:
        yield
    finally:
        for name in proxies:
            os.environ.pop(name, None)
        os.environ.update(before)


def _certificates() -> Iterator[str]:
    keys = os.environ.get(KEYS)
    if keys and (trouble := _cannot_append(keys)):
        del os.environ[KEYS]
        yield f"{KEYS}={keys} cannot be written ({trouble}): no keys are kept"
    # Prefect makes a client that reads the general setting where it is imported, so both must be right in every process.
    for name in CERTIFICATES:
        file = os.environ.get(name)
        if file and (trouble := _cannot_load(file)):
            import certifi

            os.environ[name] = certifi.where()
            yield f"{name}={file} holds no certificates that can be read ({trouble}): those of the package certifi are used"


def _cannot_append(path: str) -> str | None:
    try:
        with open(path, "ab"):  # noqa: PTH123
            return None
    except OSError as error:
        return error.strerror or type(error).__name__


def _cannot_load(path: str) -> str | None:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cafile=path)
    except OSError as error:  # which ssl.SSLError is
        return error.strerror or type(error).__name__
    return None
