"""Find the OpenAI-compatible servers of a recipe or the environment, and check that they serve the model.

The key comes from the environment alone, and goes into no record, log or message.
"""

import ipaddress
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import httpx

from data_specs.errors import SpecError, in_one_line
from data_specs.specs.language_model import LanguageModelSpec, server_addresses
from models.captioner.protocol import Turn

SERVER = "SYNCLR_API_SERVER"
KEYS = ("SYNCLR_API_KEY", "OPENAI_API_KEY")
"""The first that is set wins."""
CHECK_SECONDS = 15.0
MOST_CHARACTERS = 300
AGAIN_LATER = {408, 409, 425, 429}
"""Status codes that, like 5xx, another try may change."""
_SYSTEM = re.compile(r"\bsystem\b|\broles? must alternate\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Access:
    """Servers that share the work, and the key for them. `at` is where the recipe names them, `chat` whether it asks in turns."""

    at: str
    chat: bool
    servers: tuple[str, ...]
    key: str | None = field(repr=False)
    key_from: str | None

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.key}"} if self.key else {}

    def body(self, answer: httpx.Response) -> Any:
        """The answer's JSON; None if it is none."""
        try:
            return answer.json()
        except ValueError:
            return None

    def reason(self, answer: httpx.Response) -> str:
        """The server's error message in one line, with the key masked should it repeat it."""
        words = _message(self.body(answer)) or answer.text
        if answer.is_redirect:
            words = f"it has moved to {answer.headers['Location']}, which the setting is to name"
        words = words.replace(self.key, "***") if self.key else words
        return " ".join(words.split())[:MOST_CHARACTERS] or "no reason given"

    def refusal(self, server: str, answer: httpx.Response) -> SpecError:
        """The error for a request that the server would refuse again."""
        reason = self.reason(answer)
        if answer.status_code in (401, 403):
            sent = f"the key in {self.key_from}" if self.key_from else f"a request without a key ({' or '.join(KEYS)})"
            return SpecError(f"{self.at}.server: {server} refuses {sent}: {reason}")
        way_out = ""
        if not self.chat and "chat" in reason.casefold():
            way_out = f"; {self.at}.chat=true asks a chat model in turns"
        if self.chat and (answer.status_code in (404, 405, 501) or "chat template" in reason.casefold()):
            way_out = f"; {self.at}.chat=false has a model that is no chat model continue text"
        return SpecError(f"{self.at}: {server} refused the request ({answer.status_code}): {reason}{way_out}")


def access(spec: LanguageModelSpec, environment: Mapping[str, str] = os.environ) -> Access:
    """The recipe's servers, else those of the environment. Raises SpecError if neither names one."""
    try:
        named = LanguageModelSpec.model_validate({"server": spec.server or environment.get(SERVER)}).server
    except ValueError:  # which repeats the value, and with it a password
        raise SpecError(f"{SERVER} must be http://host:port/v1, without a name, password or query") from None
    if not (servers := server_addresses(named or "")):
        raise SpecError(f"{spec.at}.engine openai: say where with {spec.at}.server=http://host:port/v1, or {SERVER}")
    key_from = next((name for name in KEYS if environment.get(name)), None)
    key = environment[key_from].strip() if key_from else None
    # A header that is refused is shown in the refusal, key and all.
    if key is not None and not (key and key.isascii() and key.isprintable()):
        raise SpecError(f"{key_from} is not a key: it must be letters, digits and signs of ASCII, on one line")
    return Access(spec.at, spec.chat, tuple(servers), key, key_from)


def require_served(spec: LanguageModelSpec, environment: Mapping[str, str] = os.environ) -> None:
    """Ask every server for its models, before any work. Raises SpecError if one does not answer or serves another model."""
    known = access(spec, environment)
    for server in known.servers:
        try:
            with usable_environment(known.at, server):
                answer = httpx.get(
                    f"{server}/models", headers=known.headers, timeout=CHECK_SECONDS, trust_env=is_elsewhere(server)
                )
        except httpx.HTTPError as error:
            raise SpecError(
                f"{spec.at}.server: nothing answers at {server}{_asked_by(server)} ({in_one_line(error)}); start it, or name "
                "another"
            ) from error
        if answer.status_code in (401, 403):
            raise known.refusal(server, answer)
        served = _served(answer)
        if served is None:
            raise SpecError(
                f"{spec.at}.server: {server} is no OpenAI-compatible server (GET /models: {answer.status_code} "
                f"{known.reason(answer)}); such addresses mostly end in /v1"
            )
        if spec.model not in served:
            raise SpecError(
                f"{spec.at}.model: {server} does not serve {spec.model!r}; it serves {', '.join(map(repr, served)) or 'none'}"
            )


def is_elsewhere(server: str) -> bool:
    """Not on this machine: what is, is asked past all proxies and certificates that the environment names."""
    host = urlsplit(server).hostname or ""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host != "localhost" and not host.endswith(".localhost")
    return not (address.is_loopback or address.is_unspecified)


def _asked_by(server: str) -> str:
    """Where a proxy stands between, it may be the one that does not answer."""
    named = [f"{kind.upper()}_PROXY" for kind in (urlsplit(server).scheme, "all") if kind in getproxies()]
    if not named or not is_elsewhere(server) or proxy_bypass(urlsplit(server).hostname or ""):
        return ""
    return f", asked by the proxy of {' or '.join(named)}, or the proxy does not"


@contextmanager
def usable_environment(at: str, server: str) -> Iterator[None]:
    """Around what makes a client. Raises SpecError for proxies and certificates of the environment that none can be made with."""
    try:
        yield
    except (ImportError, ValueError, OSError, httpx.InvalidURL) as error:
        # An address that cannot be read is not repeated: it may hold a password.
        why = type(error).__name__ if isinstance(error, httpx.InvalidURL) else " ".join(str(error).split())
        raise SpecError(
            f"{at}.server: {server} cannot be asked by the proxies and certificates of this environment (HTTP_PROXY, "
            f"HTTPS_PROXY, ALL_PROXY, NO_PROXY, SSL_CERT_FILE): {why[:MOST_CHARACTERS]}"
        ) from error


def passes_later(answer: httpx.Response) -> bool:
    return answer.status_code in AGAIN_LATER or answer.status_code >= 500


def refuses_system(answer: httpx.Response, prompt: str | Sequence[Turn]) -> bool:
    """Whether a chat was refused for its system prompt, which the templates of some models do not know."""
    asked = not isinstance(prompt, str) and prompt[0].role == "system"
    return asked and answer.status_code in (400, 422) and bool(_SYSTEM.search(answer.text))


def _served(answer: httpx.Response) -> list[str] | None:
    """OpenAI's `data`, or the `models` of servers with a list of their own."""
    try:
        listed = answer.json()
        found = listed["data"] if "data" in listed else listed["models"]
        return [str(model.get("id") or model["name"]) for model in found] if answer.status_code == 200 else None
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def _message(body: Any) -> str:
    """OpenAI and vLLM send `error.message`, others `error`, `message` or `detail`."""
    for name in ("error", "message", "detail"):
        if isinstance(body, dict) and body.get(name):
            return _message(body[name])
    return body if isinstance(body, str) else ""
