"""Describe stages and source files as OpenLineage datasets: where they lie, their version, their fields, what was written."""

from typing import Any

import pyarrow as pa
from openlineage.client.event_v2 import InputDataset, OutputDataset
from openlineage.client.facet_v2 import dataset_version_dataset, output_statistics_output_dataset, schema_dataset

from data_specs import background, caption, checkpoint, concept, embedding, image_group, score
from data_specs.specs.concepts import ConceptsSpec, ListedSource
from data_specs.stage import SealedStage, Stage
from tasks import storage

SCHEMAS: dict[str, pa.Schema] = {
    "backgrounds": background.CONTRACT.schema,
    "concepts": concept.CONTRACT.schema,
    "captions": caption.CONTRACT.schema,
    "images": image_group.CONTRACT.schema,
    "encoder": checkpoint.CONTRACT.schema,
    "embeddings": embedding.CONTRACT.schema,
    "scores": score.CONTRACT.schema,
}


def input_of(stage: Stage) -> InputDataset:
    namespace, name = place(stage.folder)
    return InputDataset(namespace=namespace, name=name, facets=_facets(stage))


def sources_of(spec: ConceptsSpec) -> list[InputDataset]:
    """The lists of names that the concepts were read from, without those that ship with the project."""
    places = [place(source.path) for source in spec.sources if isinstance(source, ListedSource)]
    return [InputDataset(namespace=namespace, name=name) for namespace, name in places]


def output_of(stage: Stage, size: int | None = None) -> OutputDataset:
    """With what was written, of a sealed stage; `size` in bytes where it is known exactly."""
    namespace, name = place(stage.folder)
    facets: dict[str, Any] = {}
    if isinstance(stage, SealedStage):
        facets["outputStatistics"] = output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet(
            rowCount=stage.accepted, size=size, fileCount=stage.count
        )
    return OutputDataset(namespace=namespace, name=name, facets=_facets(stage), outputFacets=facets)


def place(url: str) -> tuple[str, str]:
    """Namespace and name as OpenLineage wants them: (`file`, `/data/images/abc`), (`s3://bucket`, `images/abc`)."""
    if storage.is_local(url):
        return "file", storage.absolute(url)
    scheme, _, rest = url.partition("://")
    bucket, _, path = rest.partition("/")
    return f"{scheme}://{bucket}", path.strip("/") or "/"


def _facets(stage: Stage) -> dict[str, Any]:
    # What a shard holds follows from lineage and index; so lineage and number of shards say it all.
    version = f"{stage.lineage}-{stage.count}"
    fields = [_field(field) for field in SCHEMAS[stage.name]]
    return {
        "schema": schema_dataset.SchemaDatasetFacet(fields=fields),
        "version": dataset_version_dataset.DatasetVersionDatasetFacet(datasetVersion=version),
    }


def _field(field: pa.Field) -> schema_dataset.SchemaDatasetFacetFields:
    kind = field.type.value_type if pa.types.is_list(field.type) else field.type
    inner = [_field(kind.field(number)) for number in range(kind.num_fields)] if pa.types.is_struct(kind) else []
    name = ("array<struct>" if kind is not field.type else "struct") if inner else str(field.type)
    return schema_dataset.SchemaDatasetFacetFields(name=field.name, type=name, fields=inner)
