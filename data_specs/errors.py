"""Everything that can go wrong, in one tree.

SynclrError
├── SpecError          the run was described wrongly: fix the recipe or the command, never retried (exit code 2)
├── ContractError      a shard or record breaks its contract: fix the writer, never retried (exit code 1)
│   └── ShardError     a sealed shard is damaged or not whole: `synclr repair` puts it aside, the next run makes it again
├── EngineError        a model backend failed: the same call may succeed, so it alone is retried (exit code 1)
├── StoppedError       the run was stopped while this was under way: nothing is wrong, nothing is retried
└── StageFailedError   the flow run of one stage did not complete, on its own worker (exit code 1)
"""

import shlex

LONGEST = 4000
"""Characters of a message: whoever sets a file's content as a value is told so, not shown the file."""


class SynclrError(Exception):
    """Base class of every error this project raises on purpose. Its text is one line that names the way out."""

    def __str__(self) -> str:
        text = super().__str__()
        if len(text) > LONGEST:
            text = f"{text[: LONGEST // 4]} ... ({len(text)} characters) ... {text[-LONGEST // 4 :]}"
        return text


class SpecError(SynclrError):
    """The run was described wrongly."""


class ContractError(SynclrError):
    """A shard or record breaks its declared contract."""


class ShardError(ContractError):
    """A sealed shard is damaged or lacks a file. Its text begins with the command that repairs it, since lists cut it short.

    `fault` names the file and what is wrong, `shard` is the stem. Which run is to be repaired says `of_run`, where it is known.
    """

    def __init__(self, fault: str, shard: str = "") -> None:
        super().__init__(fault)  # with one argument, so that it can be sent from process to process
        self.fault, self.shard, self.run, self.root = fault, shard, "", ""

    def of_run(self, run: str, root: str) -> "ShardError":
        """The same error, which says from now on what to type."""
        self.run, self.root = run, root
        return self

    def __str__(self) -> str:
        whose = shlex.join(["--root", self.root]) if self.root else ""
        alone = " ".join(filter(None, ("synclr repair", self.run or "RUN", "--shard", self.shard, whose)))
        return (
            f"synclr repair {self.run or 'RUN'}: {super().__str__()}; for this shard alone: {alone}; then run or retry"
        )


class EngineError(SynclrError):
    """A model backend failed; the same call may succeed later."""


class StoppedError(SynclrError):
    """The run was stopped while this was under way; nothing is wrong, and nothing is retried."""


class StageFailedError(SynclrError):
    """The flow run of one stage did not complete; its own page says why."""


def in_one_line(error: BaseException, most: int = 300) -> str:
    """At most so many characters of what an error says, whatever lines it came in; its class where it says nothing."""
    return " ".join(str(error).split())[:most] or type(error).__name__
