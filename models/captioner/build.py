"""A spec of a language model enters, the engine it names leaves; nothing heavy is imported before it is needed."""

from data_specs.model_identity import ModelIdentity
from data_specs.run import LanguageModelSpec
from models.captioner.protocol import Captioner
from models.captioner.smollm2 import NAME, smollm2_folder, smollm2_revision
from models.weights import identify


def identify_captioner(spec: LanguageModelSpec) -> ModelIdentity:
    """Which weights the spec names, pinned, without loading them; raises SpecError if they are not there."""
    match spec.engine:
        case "fake":
            from models.captioner.fake import IDENTITY

            return IDENTITY
        case "vllm":
            if spec.model == NAME:
                return ModelIdentity(NAME, smollm2_revision())
            return identify(spec.model, spec.revision, knob=f"{spec.at}.model")


def build_captioner(spec: LanguageModelSpec) -> Captioner:
    """Loads the engine. Raises SpecError for weights that are not there or that the engine cannot read."""
    identity = identify_captioner(spec)
    match spec.engine:
        case "fake":
            from models.captioner.fake import FakeCaptioner

            return FakeCaptioner()
        case "vllm":
            from models.captioner.vllm import VllmCaptioner

            return VllmCaptioner(str(smollm2_folder()) if spec.model == NAME else spec.model, identity, spec)
