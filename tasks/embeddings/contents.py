"""Identify what each embedding shard will hold, whatever else its stage embeds: equal digests, equal bytes. Pure."""

from collections.abc import Mapping

from data_specs.embedding import JOINT
from data_specs.ids import digest
from data_specs.specs.run import RunSpec
from tasks.embeddings.benchmarks import benchmark_lineage, benchmark_of
from tasks.embeddings.jobs import HOG, EmbeddingJob, embedding_jobs


def embedding_contents(
    spec: RunSpec, version: int, encoder: str, fingerprints: Mapping[str, str], templates: str | None
) -> list[str]:
    """A digest for each job of the stage. `encoder` is its lineage, `templates` the digest of the sentences about classes."""

    def content(job: EmbeddingJob) -> str:
        settings = spec.embeddings
        images = benchmark_lineage(benchmark_of(settings, job.benchmark, job.seed, fingerprints))
        by: tuple[str | int, ...] = (encoder, spec.seed, settings.pooling, settings.blocks)
        if job.encoder == JOINT:
            by = (encoder, templates or "")
        elif job.encoder == HOG:
            by = ()  # the same whatever was trained
        return digest("embeddings", version, job.encoder, images, *by)

    return [content(job) for job in embedding_jobs(spec)]
