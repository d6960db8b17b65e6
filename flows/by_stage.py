"""The whole run as one flow run a stage, each on a worker of its kind."""

from prefect.runtime import flow_run

from flows.artifacts.run_page import RunPage
from flows.execution.plain_flow import plain_flow
from flows.execution.stage_elsewhere import run_stage_elsewhere
from flows.execution.start import begin_flow_run, name_of_run, request_of
from flows.runs import form
from flows.runs.planning import resolve_plan


@plain_flow("synclr-by-stage", lambda: f"{name_of_run()}, stage by stage")
def synclr_by_stage(
    recipe: form.Recipe = "tiny",
    name: form.Name = None,
    total: form.Total = None,
    steps: form.Steps = None,
    workers: form.Workers = None,
    device: form.Device = None,
    root: form.Root = None,
    since: form.Since = "concepts",
    until: form.Until = "scores",
    settings: form.Settings = None,
) -> None:
    """Hand the plan to each stage's own deployment, one after the other; a retry goes on from what is sealed."""
    begin_flow_run()
    settings = form.with_first_boxes(settings, total=total, steps=steps, workers=workers, device=device)
    plan = resolve_plan(request_of(recipe, name, root, since, until, None, settings))
    with RunPage(plan, str(flow_run.id)) as page:
        for stage in plan.requested:
            with page.handed_over(stage):
                run_stage_elsewhere(plan, stage, recipe)
