"""Build the scorer and safety checker that the images stage's spec names; nothing heavy is imported before it is needed."""

from pathlib import Path

from data_specs.errors import SpecError
from data_specs.json_text import parse_json
from data_specs.model_identity import ModelIdentity
from data_specs.specs.images import ImagesSpec
from models.scorer.protocol import Checker, Scorer
from models.weights import cached, identify, listed, place, require_reachable, require_whole

SCORER, CHECKER = "images.scorer.model", "images.safety.model"
PARTS = ("safety_checker", "feature_extractor")
"""Subfolders of a Stable Diffusion pipeline with its checker, and with the checker's preprocessing."""
ENCODER_FILES = ("model.safetensors", "config.json")
TEXT_FILES = ("text.safetensors", "text.json", "tokenizer.json")
"""Files of an exported encoder with its text tower (models/encoder/exported.py), for a check that loads nothing."""
WAY_OUT = "use fewer engines at once (execution.workers), or images.dtype float16 for the images' model beside it"


def identify_scorer(spec: ImagesSpec) -> ModelIdentity | None:
    """The scorer's weights, pinned; None without a scorer. Raises SpecError if they do not exist."""
    if (scorer := spec.scorer) is None:
        return None
    match scorer.engine:
        case "fake":
            from models.scorer.fake import IDENTITY

            return IDENTITY
        case "encoder":
            if not Path(scorer.model).expanduser().is_dir():
                way_out = "an encoder's is <root>/encoder/<lineage>/exported-<digest>"
                raise SpecError(f"{SCORER}: there is no folder {scorer.model!r}; {way_out}")
            return identify(scorer.model, None, setting=SCORER)
        case "clip":
            return identify(scorer.model, scorer.revision, setting=SCORER)


def identify_checker(spec: ImagesSpec) -> ModelIdentity | None:
    """The safety checker's weights, pinned; None without a checker. Raises SpecError if they do not exist."""
    if spec.safety is None:
        return None
    if spec.safety.model is not None:
        return identify(spec.safety.model, spec.safety.revision, setting=CHECKER)
    model = Path(spec.model).expanduser()
    if spec.engine != "diffusers" or spec.model == "tiny" or (model.is_dir() and not (model / PARTS[0]).is_dir()):
        raise SpecError(f"{CHECKER}: {spec.model!r} has no safety checker of its own; name the folder or hub id of one")
    if model.is_dir():
        own = identify(str(model / PARTS[0]), None, setting=CHECKER)
        return ModelIdentity(f"{model.name}/{PARTS[0]}", own.revision)
    pipeline = identify(spec.model, spec.revision, setting="images.model")
    return ModelIdentity(f"{pipeline.id}/{PARTS[0]}", pipeline.revision)


def require_scorers(spec: ImagesSpec) -> None:
    """A check before any work: raises SpecError if the weights of scorer or safety checker cannot be had."""
    identify_scorer(spec)
    identify_checker(spec)
    if (scorer := spec.scorer) and scorer.engine == "encoder":
        _require_export(Path(scorer.model).expanduser())
    elif scorer and scorer.engine == "clip":
        _require_parts(scorer.model, SCORER, "preprocessor_config.json", "tokenizer_config.json")
        require_reachable(scorer.model, scorer.revision, setting=SCORER)
    if (safety := spec.safety) and safety.model is not None:
        _require_parts(safety.model, CHECKER, "preprocessor_config.json")
        require_reachable(safety.model, safety.revision, setting=CHECKER)
    elif safety:
        _require_parts(f"{spec.model}/{PARTS[0]}", CHECKER, f"../{PARTS[1]}/preprocessor_config.json")
        _require_own(spec.model, spec.revision)


def _require_own(model: str, revision: str | None) -> None:
    """For a hub id; a folder was checked already."""
    described = f"{PARTS[0]}/config.json"
    if Path(model).expanduser().is_dir() or cached(model, revision, described):
        return
    if described not in listed(model, revision, setting=CHECKER):
        raise SpecError(f"{CHECKER}: {model!r} has no safety checker of its own at {revision}; name the hub id of one")


def build_scorer(spec: ImagesSpec) -> Scorer | None:
    """Loads it, if there is one.

    Raises:
        SpecError: the weights do not exist, or are another model's.
        EngineError: they do not fit into memory.
    """
    scorer, identity = spec.scorer, identify_scorer(spec)
    if scorer is None or identity is None:
        return None
    match scorer.engine:
        case "fake":
            from models.scorer.fake import FakeScorer

            return FakeScorer()
        case "encoder":
            from models.memory import building
            from models.scorer.encoder import encoder_scorer

            with building(f"{SCORER}: {scorer.model!r}", WAY_OUT):
                return encoder_scorer(Path(scorer.model).expanduser(), identity, _device(spec))
        case "clip":
            from models.memory import building
            from models.scorer.clip import clip_scorer

            with building(f"{SCORER}: {scorer.model!r}", WAY_OUT):
                return clip_scorer(place(scorer.model), identity, scorer.revision, _device(spec))


def build_checker(spec: ImagesSpec) -> Checker | None:
    """Loads it, if there is one.

    Raises:
        SpecError: the weights do not exist, or are another model's.
        EngineError: they do not fit into memory.
    """
    safety, identity = spec.safety, identify_checker(spec)
    if safety is None or identity is None:
        return None
    from models.memory import building
    from models.scorer.safety import SafetyChecker

    with building(f"{CHECKER}: {identity.id!r}", WAY_OUT):
        if safety.model is not None:
            return SafetyChecker(place(safety.model), identity, safety.revision, _device(spec))
        return SafetyChecker(place(spec.model), identity, spec.revision, _device(spec), PARTS)


def _device(spec: ImagesSpec) -> str:
    """The pipeline's device."""
    from models.renderer.loading import device_of

    return device_of(spec)


def _require_export(folder: Path) -> None:
    lost = [name for name in (*ENCODER_FILES, *TEXT_FILES) if not (folder / name).is_file()]
    if set(lost) & set(ENCODER_FILES):
        raise SpecError(
            f"{SCORER}: {str(folder)!r} holds no trained encoder ({', '.join(lost)} missing); name a folder such as "
            "<root>/encoder/<lineage>/exported-<digest>"
        )
    if lost:
        raise SpecError(
            f"{SCORER}: the encoder in {str(folder)!r} reads no captions ({', '.join(lost)} missing); train one with "
            "encoder.objective=clip"
        )


def _require_parts(model: str, setting: str, *files: str) -> None:
    """For a local folder; the files of a hub id are checked when it is loaded."""
    folder = Path(model).expanduser()
    if not folder.is_dir():
        return
    if lost := [name for name in ("config.json", *files) if not (folder / name).is_file()]:
        raise SpecError(f"{setting}: folder {model!r} lacks {', '.join(lost)}")
    require_whole(model, setting=setting)
    try:
        kind = parse_json((folder / "config.json").read_bytes()).get("model_type")
    except (ValueError, AttributeError) as error:
        raise SpecError(f"{setting}: config.json of {model!r} is no JSON object") from error
    if kind != "clip":
        raise SpecError(f"{setting}: {model!r} is a model of the kind {kind!r}, not CLIP")
