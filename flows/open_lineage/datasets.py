"""Rooms and source files enter; OpenLineage datasets leave: where they lie, their version, their fields, what was written."""

from typing import Any

import pyarrow as pa
from openlineage.client.event_v2 import InputDataset, OutputDataset
from openlineage.client.facet_v2 import dataset_version_dataset, output_statistics_output_dataset, schema_dataset

from data_specs import background, caption, checkpoint, concept, embedding, image_group, score
from data_specs.run import ConceptsSpec, ListedSource
from data_specs.shard import SealedRoom
from flows.runs.resolve import Room
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


def read(room: Room) -> InputDataset:
    namespace, name = place(room.folder)
    return InputDataset(namespace=namespace, name=name, facets=_facets(room))


def sources(spec: ConceptsSpec) -> list[InputDataset]:
    """The lists of names that the concepts were read from; those that ship with the project are no data of anyone's."""
    places = [place(source.path) for source in spec.sources if isinstance(source, ListedSource)]
    return [InputDataset(namespace=namespace, name=name) for namespace, name in places]


def written(room: Room, sealed: SealedRoom | None = None, size: int | None = None) -> OutputDataset:
    """`sealed` once it is; `size` in bytes where it is known exactly."""
    namespace, name = place(room.folder)
    facets: dict[str, Any] = {}
    if sealed:
        facets["outputStatistics"] = output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet(
            rowCount=sealed.accepted, size=size, fileCount=sealed.shards
        )
    return OutputDataset(namespace=namespace, name=name, facets=_facets(room), outputFacets=facets)


def place(url: str) -> tuple[str, str]:
    """As OpenLineage names datasets: (`file`, `/data/images/abc`), (`s3://bucket`, `images/abc`)."""
    if storage.is_local(url):
        return "file", storage.absolute(url)
    scheme, _, rest = url.partition("://")
    bucket, _, path = rest.partition("/")
    return f"{scheme}://{bucket}", path.strip("/") or "/"


def _facets(room: Room) -> dict[str, Any]:
    # What a shard holds follows from lineage and index; so lineage and number of shards say it all.
    version = f"{room.lineage}-{len(room.shards)}"
    fields = [_field(field) for field in SCHEMAS[room.name]]
    return {
        "schema": schema_dataset.SchemaDatasetFacet(fields=fields),
        "version": dataset_version_dataset.DatasetVersionDatasetFacet(datasetVersion=version),
    }


def _field(field: pa.Field) -> schema_dataset.SchemaDatasetFacetFields:
    kind = field.type.value_type if pa.types.is_list(field.type) else field.type
    inner = [_field(kind.field(number)) for number in range(kind.num_fields)] if pa.types.is_struct(kind) else []
    said = ("array<struct>" if kind is not field.type else "struct") if inner else str(field.type)
    return schema_dataset.SchemaDatasetFacetFields(name=field.name, type=said, fields=inner)
