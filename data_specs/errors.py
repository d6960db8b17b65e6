"""Everything that can go wrong, in one tree.

SynclrError
├── SpecError          the run was described wrongly: fix the recipe or the command, never retried (exit code 2)
├── ContractError      a shard or record breaks its contract: fix the writer, never retried (exit code 1)
├── EngineError        a model backend failed: the same call may succeed, so it alone is retried (exit code 1)
├── StoppedError       the run was stopped while this was under way: nothing is wrong, nothing is retried
└── StageFailedError   the flow run of one stage did not complete, on its own worker (exit code 1)
"""

LONGEST = 4000
"""Characters of a message: whoever sets a file's content as a value is told so, not shown the file."""


class SynclrError(Exception):
    """Base class of every error this project raises on purpose. Its text is one line that names the way out."""

    def __str__(self) -> str:
        text = super().__str__()
        return (
            text
            if len(text) <= LONGEST
            else f"{text[: LONGEST // 4]} ... ({len(text)} characters) ... {text[-LONGEST // 4 :]}"
        )


class SpecError(SynclrError):
    """The run was described wrongly."""


class ContractError(SynclrError):
    """A shard or record breaks its declared contract."""


class EngineError(SynclrError):
    """A model backend failed; the same call may succeed later."""


class StoppedError(SynclrError):
    """The run was stopped while this was under way; nothing is wrong, and nothing is retried."""


class StageFailedError(SynclrError):
    """The flow run of one stage did not complete; its own page says why."""


def in_one_line(error: BaseException, most: int = 300) -> str:
    """At most so many characters of what an error says, whatever lines it came in; its class where it says nothing."""
    return " ".join(str(error).split())[:most] or type(error).__name__
