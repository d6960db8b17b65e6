"""Get completions from OpenAI-compatible servers.

By httpx and not OpenAI's client, which limits the number of retries and not the seconds they take, knows one server only,
and is installed only with vLLM. A server batches requests as they arrive, so sums may round differently and the same
requests may give other texts: seeds are sent and recorded, but the same bits are not promised.
"""

import asyncio
import random
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from email.utils import parsedate_to_datetime
from typing import Any

import httpx

from data_specs.errors import EngineError, in_one_line
from data_specs.model_identity import ModelIdentity
from data_specs.specs.language_model import LanguageModelSpec
from models.captioner.chat import without_system
from models.captioner.completion_api import read, request, withheld
from models.captioner.protocol import FILTERED, Ask
from models.captioner.server import access, is_elsewhere, passes_later, refuses_system, usable_environment

PATIENCE_SECONDS = 120.0
"""A request is repeated for so long after its first failure: by then a server that restarts is usually back."""
FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 20.0
Clients = Mapping[str, httpx.AsyncClient]
"""One a server: some are on this machine, and asked past all proxies."""


class OpenAiCaptioner:
    """Holds no connection between calls, since a call is a whole shard."""

    def __init__(self, identity: ModelIdentity, spec: LanguageModelSpec, patience: float = PATIENCE_SECONDS) -> None:
        self.model = identity
        self._spec, self._patience = spec, patience
        self._access = access(spec)
        self._system_apart = True

    def complete(self, asks: Sequence[Ask]) -> list[str]:
        return asyncio.run(self._complete_all(asks))

    async def _complete_all(self, asks: Sequence[Ask]) -> list[str]:
        texts = [""] * len(asks)
        waiting = iter(enumerate(asks))
        # The time of a request is bounded as a whole, below; httpx would bound each read, and the wait for a connection.
        async with AsyncExitStack() as stack:
            clients = {server: await stack.enter_async_context(self._client(server)) for server in self._access.servers}
            try:
                async with asyncio.TaskGroup() as group:
                    for _ in range(min(self._spec.concurrency, len(asks))):
                        group.create_task(self._work(clients, waiting, texts))
            except ExceptionGroup as failed:
                first = failed.exceptions[0]  # the others would fail alike
                raise first from first.__cause__
        return texts

    def _client(self, server: str) -> httpx.AsyncClient:
        with usable_environment(self._spec.at, server):
            return httpx.AsyncClient(
                headers=self._access.headers, timeout=None, limits=self._limits, trust_env=is_elsewhere(server)
            )

    @property
    def _limits(self) -> httpx.Limits:
        return httpx.Limits(max_connections=self._spec.concurrency, max_keepalive_connections=self._spec.concurrency)

    async def _work(self, clients: Clients, waiting: Iterator[tuple[int, Ask]], texts: list[str]) -> None:
        for number, ask in waiting:
            texts[number] = await self._completion(clients, number, ask)

    async def _completion(self, clients: Clients, number: int, ask: Ask) -> str:
        """Raises EngineError after `patience` seconds of failures, SpecError for what no retry would change."""
        servers = self._access.servers
        first_failed, attempt = None, 0
        while True:
            server = servers[(number + attempt) % len(servers)]
            try:
                return await self._ask(clients[server], server, ask)
            except _FailedError as failed:
                now = time.monotonic()
                first_failed = first_failed or now
                pause = failed.pause + _back_off(0) if failed.pause else _back_off(attempt)
                attempt += 1
                if now + pause > first_failed + self._patience:
                    raise EngineError(
                        f"{self._spec.at}.server: {server} failed {attempt} times in {now - first_failed:.0f} s, "
                        f"the next try is due in {pause:.0f} s; lastly: {failed}"
                    ) from failed
            await asyncio.sleep(pause)

    async def _ask(self, client: httpx.AsyncClient, server: str, ask: Ask) -> str:
        prompt = ask.prompt if isinstance(ask.prompt, str) or self._system_apart else without_system(ask.prompt)
        answer = await self._post(client, server, *request(self._spec, prompt, ask.seed))
        if refuses_system(answer, prompt):
            assert not isinstance(prompt, str)
            again = await self._post(client, server, *request(self._spec, without_system(prompt), ask.seed))
            if again.status_code == 200:
                self._system_apart, answer = False, again
        if answer.status_code != 200:
            if withheld(self._access.body(answer)):
                return FILTERED
            raise self._access.refusal(server, answer)
        try:
            return read(answer.json(), ask, self._spec.max_tokens)
        except ValueError as error:
            raise _FailedError(f"the answer is no completion: {self._access.reason(answer)}") from error

    async def _post(self, client: httpx.AsyncClient, server: str, path: str, request: dict[str, Any]) -> httpx.Response:
        """Any answer but one that says to come again. Raises _FailedError."""
        spec = self._spec
        try:
            async with asyncio.timeout(spec.timeout):
                answer = await client.post(f"{server}/{path}", json=request)
        except TimeoutError as error:
            raise _FailedError(f"no answer within {spec.timeout:g} s ({spec.at}.timeout)") from error
        except httpx.HTTPError as error:
            raise _FailedError(in_one_line(error)) from error
        if passes_later(answer):
            raise _FailedError(f"{answer.status_code} {self._access.reason(answer)}", _retry_after(answer))
        return answer


class _FailedError(Exception):
    """A failure that another try may change; `pause` is the number of seconds that the server asks to wait."""

    def __init__(self, message: str, pause: float | None = None) -> None:
        super().__init__(message)
        self.pause = pause


def _back_off(attempt: int) -> float:
    """Seconds, doubling with each attempt; with jitter, so that requests that failed together do not return together."""
    longest: float = min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2.0 ** min(attempt, 16))
    return longest * random.uniform(0.5, 1)


def _retry_after(answer: httpx.Response) -> float | None:
    """The header Retry-After in seconds, whether it holds seconds or a date; None without it."""
    given = answer.headers.get("Retry-After", "")
    try:
        if given.isdecimal():
            return float(given)
        return max(0.0, parsedate_to_datetime(given).timestamp() - time.time())
    except ValueError:
        return None
