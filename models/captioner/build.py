"""Build the captioner that a language model's spec names; nothing heavy is imported before it is needed."""

from importlib.util import find_spec

from data_specs.errors import SpecError
from data_specs.model_identity import ModelIdentity
from data_specs.specs.language_model import LanguageModelSpec
from models.captioner.chat import has_chat_template
from models.captioner.protocol import Captioner
from models.captioner.smollm2 import NAME, smollm2_folder, smollm2_revision
from models.weights import identify, place, require_reachable, require_tokenizer_files, require_whole


def identify_captioner(spec: LanguageModelSpec) -> ModelIdentity:
    """The weights that the spec names, pinned, without loading them. Raises SpecError if they do not exist.

    Asks no server and no hub, so that looking at a run needs neither.
    """
    match spec.engine:
        case "fake":
            from models.captioner.fake import IDENTITY

            return IDENTITY
        case "openai":
            revision = spec.revision or (smollm2_revision() if spec.model == NAME else None)
            if not revision:
                raise SpecError(
                    f"{spec.at}.revision: name the weights that the server was started with as {spec.model!r}, by a commit or "
                    "a date; it is taken at your word, recorded with every caption, and another one is another lineage"
                )
            return ModelIdentity(spec.model, f"served:{revision}")
        case "vllm" | "transformers":
            if spec.model == NAME:
                return ModelIdentity(NAME, smollm2_revision())
            return identify(spec.model, spec.revision, setting=f"{spec.at}.model")


def require_captioner(spec: LanguageModelSpec) -> None:
    """A check before any work: raises SpecError if the engine, its server or its weights cannot be had."""
    identify_captioner(spec)
    match spec.engine:
        case "openai":
            from models.captioner.server import require_served
            from models.captioner.server_check import require_completions

            require_served(spec)
            require_completions(spec)
        case "vllm" | "transformers":
            if find_spec(spec.engine) is None:
                raise SpecError(
                    f"{spec.at}.engine: {spec.engine} is not installed here; it comes with the extras cpu and cuda, and the "
                    "engine openai needs only a server"
                )
            if spec.model != NAME:
                require_reachable(spec.model, spec.revision, setting=f"{spec.at}.model")
                require_whole(spec.model, setting=f"{spec.at}.model")
                require_tokenizer_files(spec.model, setting=f"{spec.at}.model")
                if spec.chat and has_chat_template(spec.model, spec.revision) is False:
                    raise SpecError(
                        f"{spec.at}.chat: {spec.model!r} has no chat template, so it holds no chats; {spec.at}.chat=false has it "
                        "continue text"
                    )


def notice_of_chat_model(spec: LanguageModelSpec) -> str | None:
    """What to tell where a model that may be a chat model is to continue a text; None where that is as it should be.

    Not of the model that ships, an instruct model that continues texts in `tiny` by intent: docs/captions.md says what it gains.
    """
    if spec.chat or spec.engine not in ("vllm", "transformers") or spec.model == NAME:
        return None
    if not has_chat_template(spec.model, spec.revision):
        return None
    return (
        f"{spec.at}.model: {spec.model!r} has a chat template, as chat models have, and is asked to continue a text, which base "
        f"models do better; {spec.at}.chat=true asks it in turns"
    )


def build_captioner(spec: LanguageModelSpec) -> Captioner:
    """Loads the engine. Raises SpecError for weights that do not exist or that the engine cannot read."""
    identity = identify_captioner(spec)
    match spec.engine:
        case "fake":
            from models.captioner.fake import FakeCaptioner

            return FakeCaptioner()
        case "openai":
            from models.captioner.openai import OpenAiCaptioner

            return OpenAiCaptioner(identity, spec)
        case "transformers":
            from models.captioner.transformers import TransformersCaptioner

            return TransformersCaptioner(_weights(spec), identity, spec)
        case "vllm":
            from models.captioner.vllm import VllmCaptioner

            return VllmCaptioner(_weights(spec), identity, spec)


def _weights(spec: LanguageModelSpec) -> str:
    return str(smollm2_folder()) if spec.model == NAME else place(spec.model)
