"""Read the files of the user that a stage works from: once, when it starts, and only if they are still what was planned.

So a list, prompt or data set that is edited while a run is under way changes nothing of it in silence: a stage that has still to
read it refuses, and the next run plans with the new content.
"""

from collections.abc import Sequence

from data_specs.concept import Concept
from data_specs.errors import SpecError
from data_specs.rejection import Rejection
from data_specs.selection import SELECTION
from data_specs.stage import BACKGROUNDS
from flows.runs.plan import RunPlan
from flows.runs.resolve import evaluation_jobs
from models.encoder.tokenizer import tokenizer_digest
from tasks.captions.compose import CaptionInputs
from tasks.captions.prompt_files import prompts_digest, prompts_of
from tasks.captions.unsafe_words import load_unsafe_words, unsafe_words_digest
from tasks.concepts.background_prompts import prompt_file_digest, prompt_of
from tasks.concepts.ingest import asked_about, concepts_of, ingest
from tasks.concepts.sources import fingerprints
from tasks.concepts.write_backgrounds import BackgroundInputs
from tasks.embeddings.extract import EmbeddingInputs
from tasks.embeddings.jobs import embedding_jobs
from tasks.embeddings.templates import load_templates, templates_digest
from tasks.encoder.train import EncoderInputs
from tasks.images.render import ImageInputs
from tasks.scores.measure import ScoreInputs

Entries = Sequence[Concept | Rejection]


def concept_entries(plan: RunPlan) -> Entries:
    """Every name of every source, as a concept or as a reject."""
    entries = ingest(plan.spec.concepts)
    _require_unchanged(plan, "concepts", "sources", fingerprints(plan.spec.concepts), "concepts.sources: a list")
    return entries


def background_inputs(plan: RunPlan) -> BackgroundInputs:
    by = plan.spec.concepts.backgrounds_by
    assert by is not None
    prompt = prompt_of(by)
    digest = prompt_file_digest(prompt, chat=by.chat)
    _require_unchanged(plan, BACKGROUNDS, "prompts", digest, f"{by.at}.prompt {by.prompt!r}")
    concepts = concepts_of(concept_entries(plan))
    return BackgroundInputs(tuple(asked_about(concepts, plan.spec.concepts)), prompt)


def caption_inputs(plan: RunPlan) -> CaptionInputs:
    spec = plan.spec.captions
    prompts = prompts_of(spec)
    digest = prompts_digest(prompts, chat=spec.chat)
    _require_unchanged(plan, "captions", "prompts", digest, f"captions.prompts {spec.prompts!r}")
    if spec.unsafe_words is not None:
        digest = unsafe_words_digest(spec.unsafe_words)
        _require_unchanged(plan, "captions", "unsafe_words", digest, f"captions.unsafe_words {spec.unsafe_words!r}")
    return CaptionInputs(plan.stages["concepts"].table, prompts, load_unsafe_words(spec.unsafe_words))


def image_inputs(plan: RunPlan) -> ImageInputs:
    return ImageInputs(plan.stages["captions"], plan.stages.get(SELECTION))


def encoder_inputs(plan: RunPlan) -> EncoderInputs:
    tokenizer = tokenizer_digest(plan.spec.encoder)
    if tokenizer is not None:
        setting = f"encoder.text_tokenizer {plan.spec.encoder.text_tokenizer!r}"
        _require_unchanged(plan, "encoder", "tokenizer", tokenizer, setting)
    return EncoderInputs(plan.stages["images"])


def embedding_inputs(plan: RunPlan) -> EmbeddingInputs:
    spec, facts = plan.spec.embeddings, plan.stages["embeddings"].facts
    templates = load_templates(spec.templates)
    if facts["templates"] is not None:
        digest = templates_digest(templates)
        _require_unchanged(plan, "embeddings", "templates", digest, f"embeddings.templates {spec.templates!r}")
    encoder, jobs = plan.stages["encoder"].table, tuple(embedding_jobs(plan.spec))
    return EmbeddingInputs(encoder, plan.root, jobs, tuple(templates), facts["data_sets"])


def score_inputs(plan: RunPlan) -> ScoreInputs:
    return ScoreInputs(plan.stages["embeddings"], evaluation_jobs(plan.spec), plan.stages["concepts"].table)


def _require_unchanged(plan: RunPlan, stage: str, fact: str, found: object, what: str) -> None:
    if plan.stages[stage].facts[fact] != found:
        raise SpecError(
            f"{what} was edited after run {plan.name!r} was planned: run it again, to plan with the new content; what is sealed "
            "stays"
        )
