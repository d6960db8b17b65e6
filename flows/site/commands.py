"""Write the commands that look at what a page shows once more."""

import shlex

from flows.runs.plan import RunPlan
from tasks import storage


def redraw_sample(plan: RunPlan, caption: str) -> str:
    return _of_run("redraw", caption, plan, "--name")


def verify(plan: RunPlan) -> str:
    return _of_run("verify", "", plan)


def _of_run(verb: str, what: str, plan: RunPlan, *before_name: str) -> str:
    words = ["synclr", verb, *filter(None, [what]), *before_name, plan.name, "--root", storage.absolute(plan.root)]
    return shlex.join(words)
