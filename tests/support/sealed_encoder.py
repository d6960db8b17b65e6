"""A sealed encoder with fresh weights, as if they had been trained."""

from pathlib import Path

from data_specs import checkpoint
from data_specs.checkpoint import Checkpoint
from data_specs.shard import ShardAddress
from models.encoder.exported import export, random_backbone
from models.encoder.vit import VitShape
from tasks import storage
from tasks.shards import make_shard


def sealed_encoder(folder: Path) -> ShardAddress:
    """Of a very small ViT for 32-pixel images, with 16 patches each."""
    address = ShardAddress(folder=str(folder / "encoder"), stage="encoder", lineage="e", index=0)
    files = export(random_backbone(VitShape(width=16, depth=1, heads=2, patch=8, image_size=32), 0))
    for name, data in files.items():
        storage.write_bytes(f"{address.folder}/encoder/{name}", data)
    digests = {f"encoder/{name}": "" for name in files}
    record = Checkpoint("e-1", 1, 1, "vit_tiny", "synclr", 0, 1, "images", ("images-000000",), digests, {})
    make_shard(address, checkpoint.CONTRACT, lambda: [record])
    return address
