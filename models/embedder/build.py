"""Build an embedder by the name of its encoder; heavy libraries are imported only where they are needed."""

from data_specs.errors import SpecError
from data_specs.ids import seed_of
from data_specs.specs.embeddings import EmbeddingsSpec
from models.embedder.protocol import Embedder


def build_embedder(name: str, spec: EmbeddingsSpec, trained: dict[str, bytes], seed: int) -> Embedder:
    """`name` is `trained`, `random-0`, ... (the same shape with fresh weights), `hog` or `joint`.

    `trained` are the exported files of the trained encoder. Raises SpecError for another name,
    ContractError for files that are no exported encoder.
    """
    kind, _, number = name.partition("-")
    match kind:
        case "fake":
            from models.embedder.fake import FakeEmbedder

            return FakeEmbedder()
        case "hog":
            from models.embedder.hog import HogEmbedder

            return HogEmbedder()
        case "joint":
            from models.embedder.joint import JointVitEmbedder
            from models.encoder.exported import load_exported, load_text

            return JointVitEmbedder(load_exported(trained).to(_device()), load_text(trained))
        case "trained" | "random":
            from models.embedder.vit import VitEmbedder
            from models.encoder.exported import load_exported, random_backbone

            backbone = load_exported(trained)
            if kind == "random":
                backbone = random_backbone(backbone.shape, seed_of("embeddings", "random", seed, number))
            return VitEmbedder(backbone.to(_device()), spec.pooling, spec.blocks)
        case other:
            raise SpecError(f"no encoder is called {other!r}; there are trained, random-0, ..., hog and joint")


def _device() -> str:
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"
