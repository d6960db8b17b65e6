"""The images room's spec enters; what looks at its pictures leaves: scorer, safety checker. Nothing heavy before it is needed."""

import json
from pathlib import Path

from data_specs.errors import SpecError
from data_specs.model_identity import ModelIdentity
from data_specs.run import ImagesSpec
from models.scorer.protocol import Checker, Scorer
from models.weights import cached, damage, identify, listed, place, require_reachable

SCORER, CHECKER = "images.scorer.model", "images.safety.model"
PARTS = ("safety_checker", "feature_extractor")
"""Where a Stable Diffusion pipeline keeps its checker, and how that wants pictures."""
ENCODER_FILES = ("model.safetensors", "config.json")
TEXT_FILES = ("text.safetensors", "text.json", "tokenizer.json")
"""An exported encoder with its text tower, for a look that loads nothing (models/encoder/exported.py)."""
WAY_OUT = "use fewer engines at once (execution.workers), or images.dtype float16 for the pictures' model beside it"


def identify_scorer(spec: ImagesSpec) -> ModelIdentity | None:
    """Which weights score, pinned; None if nothing does. Raises SpecError if they are not there."""
    if (scorer := spec.scorer) is None:
        return None
    match scorer.engine:
        case "fake":
            from models.scorer.fake import IDENTITY

            return IDENTITY
        case "encoder":
            if not Path(scorer.model).expanduser().is_dir():
                way_out = "an encoder's is <root>/encoder/<lineage>/encoder"
                raise SpecError(f"{SCORER}: there is no folder {scorer.model!r}; {way_out}")
            return identify(scorer.model, None, knob=SCORER)
        case "clip":
            return identify(scorer.model, scorer.revision, knob=SCORER)


def identify_checker(spec: ImagesSpec) -> ModelIdentity | None:
    """Which weights check, pinned; None if nothing does. Raises SpecError if they are not there."""
    if spec.safety is None:
        return None
    if spec.safety.model is not None:
        return identify(spec.safety.model, spec.safety.revision, knob=CHECKER)
    model = Path(spec.model).expanduser()
    if spec.engine != "diffusers" or spec.model == "tiny" or (model.is_dir() and not (model / PARTS[0]).is_dir()):
        raise SpecError(f"{CHECKER}: {spec.model!r} has no safety checker of its own; name the folder or hub id of one")
    if model.is_dir():
        own = identify(str(model / PARTS[0]), None, knob=CHECKER)
        return ModelIdentity(f"{model.name}/{PARTS[0]}", own.revision)
    pipeline = identify(spec.model, spec.revision, knob="images.model")
    return ModelIdentity(f"{pipeline.id}/{PARTS[0]}", pipeline.revision)


def require_looking(spec: ImagesSpec) -> None:
    """Before any work that needs them: raises SpecError if the weights that look at pictures cannot be had."""
    identify_scorer(spec)
    identify_checker(spec)
    if (scorer := spec.scorer) and scorer.engine == "encoder":
        _require_export(Path(scorer.model).expanduser())
    elif scorer and scorer.engine == "clip":
        _require_parts(scorer.model, SCORER, "preprocessor_config.json", "tokenizer_config.json")
        require_reachable(scorer.model, scorer.revision, knob=SCORER)
    if (safety := spec.safety) and safety.model is not None:
        _require_parts(safety.model, CHECKER, "preprocessor_config.json")
        require_reachable(safety.model, safety.revision, knob=CHECKER)
    elif safety:
        _require_parts(f"{spec.model}/{PARTS[0]}", CHECKER, f"../{PARTS[1]}/preprocessor_config.json")
        _require_own(spec.model, spec.revision)


def _require_own(model: str, revision: str | None) -> None:
    """Of a hub id; a folder was looked at already."""
    described = f"{PARTS[0]}/config.json"
    if Path(model).expanduser().is_dir() or cached(model, revision, described):
        return
    if described not in listed(model, revision, knob=CHECKER):
        raise SpecError(f"{CHECKER}: {model!r} has no safety checker of its own at {revision}; name the hub id of one")


def build_scorer(spec: ImagesSpec) -> Scorer | None:
    """Loads it, if there is one. Raises SpecError for weights that are not there, or are another model's, EngineError
    if memory does not hold it."""
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
    """Loads it, if there is one. Raises SpecError for weights that are not there, or are another model's, EngineError
    if memory does not hold it."""
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
    """Where the pipeline is too."""
    from models.renderer.loading import device_of

    return device_of(spec)


def _require_export(folder: Path) -> None:
    lost = [name for name in (*ENCODER_FILES, *TEXT_FILES) if not (folder / name).is_file()]
    if set(lost) & set(ENCODER_FILES):
        raise SpecError(
            f"{SCORER}: {str(folder)!r} holds no trained encoder ({', '.join(lost)} missing); name a folder such as "
            "<root>/encoder/<lineage>/encoder"
        )
    if lost:
        raise SpecError(
            f"{SCORER}: the encoder in {str(folder)!r} reads no captions ({', '.join(lost)} missing); train one with "
            "encoder.objective=clip"
        )


def _require_parts(model: str, knob: str, *files: str) -> None:
    """Of a local folder; a hub id's are looked for when it is loaded."""
    folder = Path(model).expanduser()
    if not folder.is_dir():
        return
    if lost := [name for name in ("config.json", *files) if not (folder / name).is_file()]:
        raise SpecError(f"{knob}: folder {model!r} lacks {', '.join(lost)}")
    for path in folder.glob("*.safetensors"):
        if wrong := damage(path):
            raise SpecError(f"{knob}: {path.name} of {model!r} {wrong}: fetch it again")
    try:
        said = json.loads((folder / "config.json").read_bytes()).get("model_type")
    except (ValueError, AttributeError) as error:
        raise SpecError(f"{knob}: config.json of {model!r} is no JSON object") from error
    if said != "clip":
        raise SpecError(f"{knob}: {model!r} is a model of the kind {said!r}, not CLIP")
