"""Build the renderer that the images stage's spec names; nothing heavy is imported before it is needed."""

from pathlib import Path

from data_specs.errors import SpecError
from data_specs.image_group import Lora
from data_specs.model_identity import ModelIdentity
from data_specs.specs.images import ImagesSpec
from models.renderer.layout import read_layout
from models.renderer.protocol import Renderer
from models.weights import cached, damage, identify, listed, place

TINY = Path(__file__).parent / "tiny"
"""The latent diffusion model that ships with the project."""
SURE = {"loras", "negative_prompt", "scheduler", "scheduler_options", "text_tokens", "size", "device", "offload"} | {
    "attention",
    "compile",
    "channels_last",
    "vae_slicing",
    "vae_tiling",
}
"""At their defaults these settings fit the tiny model, so the seconds that diffusers takes to check them are saved."""
WAYS_OUT = "use fewer engines at once (execution.workers), images.dtype float16, or images.offload"


def identify_renderer(spec: ImagesSpec) -> ModelIdentity:
    """The weights that the spec names, pinned. Raises SpecError if they do not exist."""
    match spec.engine:
        case "fake":
            from models.renderer.fake import IDENTITY

            return IDENTITY
        case "diffusers":
            if spec.model == "tiny":
                return ModelIdentity("tiny", identify(str(TINY), None, setting="images.model").revision)
            return identify(spec.model, spec.revision, setting="images.model")


def identify_loras(spec: ImagesSpec) -> tuple[Lora, ...]:
    """The LoRAs that the spec adds, pinned. Raises SpecError if one does not exist."""
    return tuple(
        Lora(identify(lora.model, lora.revision, setting="images.loras", file=lora.file), lora.file, lora.scale)
        for lora in spec.loras
    )


def require_renderer(spec: ImagesSpec) -> None:
    """A check before any work: raises SpecError if the weights cannot be had, or a setting does not fit them."""
    identify_renderer(spec)
    identify_loras(spec)
    fields = ImagesSpec.model_fields
    if spec.engine == "fake" or (
        spec.model == "tiny" and all(getattr(spec, name) == fields[name].default for name in SURE)
    ):
        return
    from models.renderer.loading import require_fitting

    require_fitting(read_layout(_weights(spec), spec.revision), spec)
    for lora in spec.loras:
        _require_lora(lora.model, lora.revision, lora.file)


def build_renderer(spec: ImagesSpec) -> Renderer:
    """Loads the engine.

    Raises:
        SpecError: the weights do not exist, or a setting does not fit them.
        EngineError: the engine does not fit into memory.
    """
    identity = identify_renderer(spec)
    match spec.engine:
        case "fake":
            from models.renderer.fake import FakeRenderer

            return FakeRenderer(spec.size or 16)
        case "diffusers":
            from models.memory import building
            from models.renderer.diffusion import DiffusionRenderer

            loras = [(place(named.model), lora) for named, lora in zip(spec.loras, identify_loras(spec), strict=True)]
            with building(f"images.model: {spec.model!r}", WAYS_OUT):
                return DiffusionRenderer(_weights(spec), identity, spec, loras)


def _weights(spec: ImagesSpec) -> str:
    return str(TINY) if spec.model == "tiny" else place(spec.model)


def _require_lora(model: str, revision: str | None, file: str) -> None:
    path = Path(model).expanduser() / file
    if path.is_file():
        if wrong := damage(path):
            raise SpecError(f"images.loras: {file} of {model!r} {wrong}: fetch it again")
    elif not cached(model, revision, file) and file not in listed(model, revision, setting="images.loras"):
        raise SpecError(
            f"images.loras: {model!r} holds no {file!r} at {revision}; name the one that is meant by `file`"
        )
