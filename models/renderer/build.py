"""The images room's spec enters, the engine it names leaves; nothing heavy is imported before it is needed."""

from pathlib import Path

from data_specs.model_identity import ModelIdentity
from data_specs.run import ImagesSpec
from models.renderer.protocol import Renderer
from models.weights import identify, require_reachable

TINY = Path(__file__).parent / "tiny"
"""The latent diffusion model that ships with the project."""


def identify_renderer(spec: ImagesSpec) -> ModelIdentity:
    """Which weights the spec names, pinned; raises SpecError if they are not there."""
    match spec.engine:
        case "fake":
            from models.renderer.fake import IDENTITY

            return IDENTITY
        case "diffusers":
            if spec.model == "tiny":
                return ModelIdentity("tiny", identify(str(TINY), None, knob="images.model").revision)
            return identify(spec.model, spec.revision, knob="images.model")


def require_renderer(spec: ImagesSpec) -> None:
    """Before any work that needs it: raises SpecError if its weights cannot be had."""
    identify_renderer(spec)
    if spec.engine == "diffusers" and spec.model != "tiny":
        require_reachable(spec.model, spec.revision, knob="images.model", described_by="model_index.json")


def build_renderer(spec: ImagesSpec) -> Renderer:
    """Loads the engine. Raises SpecError for weights or a scheduler that are not there."""
    identity = identify_renderer(spec)
    match spec.engine:
        case "fake":
            from models.renderer.fake import FakeRenderer

            return FakeRenderer(spec.size or 16)
        case "diffusers":
            from models.renderer.diffusion import DiffusionRenderer

            return DiffusionRenderer(str(TINY) if spec.model == "tiny" else spec.model, identity, spec)
