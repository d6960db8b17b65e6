"""Have the OpenAI-compatible servers of a recipe complete one short prompt, before any work."""

import os
import time
from collections.abc import Mapping

import httpx

from data_specs.errors import SpecError
from data_specs.specs.language_model import LanguageModelSpec
from models.captioner.completion_api import read, request, withheld
from models.captioner.protocol import Ask, Turn
from models.captioner.server import (
    CHECK_SECONDS,
    Access,
    access,
    is_elsewhere,
    passes_later,
    refuses_system,
    usable_environment,
)

CHECK_PAUSES = (0.0, 0.5, 1.0)
"""Seconds before each try at a completion: a server that just came up may answer something else at first."""
CHECK_TOKENS = 16
CHECK_TEXT = Ask("Photo captions.\n\nkettle => A steel kettle on a stove.\n\nfox =>", 0)
CHECK_CHAT = Ask((Turn("system", "Write one short caption of a photo."), Turn("user", "fox")), 0)


def require_completions(spec: LanguageModelSpec, environment: Mapping[str, str] = os.environ) -> None:
    """Have every server complete a short prompt, before any work. Raises SpecError if it refuses, or answers something else.

    A server that is busy or slow passes: a run waits for it.
    """
    known, ask = access(spec, environment), CHECK_CHAT if spec.chat else CHECK_TEXT
    few = spec.model_copy(update={"max_tokens": min(spec.max_tokens, CHECK_TOKENS)})
    for server in known.servers:
        for pause in CHECK_PAUSES:
            time.sleep(pause)
            if (fault := _no_completion(known, server, few, ask)) is None:
                break
        else:
            raise SpecError(
                f"{spec.at}.server: {server} answers POST /{request(few, ask.prompt, ask.seed)[0]} with no completion, "
                f"{len(CHECK_PAUSES)} times: {fault}; name a server of OpenAI's API"
            )


def _no_completion(known: Access, server: str, spec: LanguageModelSpec, ask: Ask) -> str | None:
    """What the server answers instead of a completion, in one line."""
    path, wanted = request(spec, ask.prompt, ask.seed)
    try:
        with usable_environment(known.at, server):
            answer = httpx.post(
                f"{server}/{path}",
                json=wanted,
                headers=known.headers,
                timeout=CHECK_SECONDS,
                trust_env=is_elsewhere(server),
            )
    except httpx.HTTPError:
        return None
    if passes_later(answer) or withheld(known.body(answer)) or refuses_system(answer, ask.prompt):
        return None
    if answer.status_code != 200:
        raise known.refusal(server, answer)
    try:
        read(answer.json(), ask, spec.max_tokens)
    except ValueError:
        return known.reason(answer)
    return None
