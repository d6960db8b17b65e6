"""The whole run: concepts, captions, images, an encoder, embeddings and scores, in a straight line."""

from data_specs.stage import SealedStage
from flows.compose_captions import compose_captions
from flows.execution.plain_flow import plain_flow
from flows.execution.start import name_of_run, whole_run
from flows.extract_embeddings import extract_embeddings
from flows.ingest_concepts import ingest_concepts
from flows.measure_scores import measure_scores
from flows.render_images import render_images
from flows.runs import form
from flows.train_encoder import train_encoder


@plain_flow("synclr", name_of_run)
def synclr(
    recipe: form.Recipe = "tiny",
    name: form.Name = None,
    total: form.Total = None,
    steps: form.Steps = None,
    workers: form.Workers = None,
    device: form.Device = None,
    grow: form.Grow = None,
    since: form.Since = "concepts",
    until: form.Until = "scores",
    root: form.Root = None,
    settings: form.Settings = None,
    plan: form.Plan = None,
) -> SealedStage:
    """Run a recipe. What is sealed is reused, so the same run goes on where it was stopped; empty settings are the recipe's."""
    settings = form.with_first_boxes(settings, total=total, steps=steps, workers=workers, device=device)
    with whole_run(plan, recipe, name, root, since, until, grow, settings) as plan:
        concepts = ingest_concepts(plan)
        captions = compose_captions(plan, concepts)
        images = render_images(plan, captions)
        encoder = train_encoder(plan, images)
        embeddings = extract_embeddings(plan, encoder)
        return measure_scores(plan, embeddings)
