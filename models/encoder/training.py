"""The training state of an encoder: it is advanced step by step, saved as tensors and restored from them.

Everything random in step s is drawn from (seed, s), so the state is parameters, optimiser and s: no generator is kept.
"""

import math
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from data_specs.errors import ContractError, SpecError
from data_specs.ids import seed_of
from data_specs.specs.encoder import EncoderSpec
from models.encoder.batch import ImageBatch, make_crops
from models.encoder.draws import Draws
from models.encoder.gather import over_ranks, rank, world_size
from models.encoder.objectives import Objective
from models.encoder.parameters import groups
from models.encoder.schedules import cosine, linear, warmup_cosine
from models.encoder.sharding import as_sharded, average, clip, shard, whole
from models.encoder.vit import VisionTransformer
from models.muon import Muon


@dataclass(frozen=True, slots=True)
class Schedules:
    """The scheduled settings at one step (SynCLR Table 12; its reference for the momentum)."""

    lr: float
    weight_decay: float
    momentum: float
    teacher_temperature: float


def schedules(spec: EncoderSpec, step: int) -> Schedules:
    return Schedules(
        lr=warmup_cosine(step, spec.steps, spec.lr, spec.warmup_steps),
        weight_decay=cosine(step, spec.steps, *spec.weight_decay),
        momentum=cosine(step, spec.steps, spec.ema_momentum, 1.0),
        teacher_temperature=linear(step, spec.teacher_temperature_steps, *spec.teacher_temperature),
    )


@dataclass(frozen=True, slots=True)
class EncoderStepReport:
    """What happened in step `step` (from 0): weighted loss terms, gradient norm before clipping, scheduled settings used."""

    step: int
    terms: dict[str, float]
    gradient: float
    schedule: Schedules

    @property
    def loss(self) -> float:
        return math.fsum(self.terms.values())


class EncoderTraining:
    """Objective and optimiser of one encoder. `step` is the number of steps done; `advance` does the next one."""

    def __init__(self, spec: EncoderSpec, seed: int, concepts: int = 0, device: str = "cpu") -> None:
        """`concepts` is the number of a classifier's classes. Raises SpecError for sizes that do not fit together."""
        self.spec, self.seed, self.device, self.step = spec, seed, device, 0
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed_of("encoder", "initial", seed))
            self.objective = Objective(spec, concepts).to(device)
        if spec.compile:
            self.objective.student.backbone.compile()
        self._sharded = spec.sharded and world_size() > 1
        self._wrapped: nn.Module = self.objective
        if self._sharded:
            shard(self.objective, device)
        elif world_size() > 1:
            self._wrapped = DistributedDataParallel(self.objective)
        kind = Muon if spec.optimizer == "muon" else torch.optim.AdamW
        self.optimizer: torch.optim.Optimizer = kind(groups(self.objective), lr=spec.lr, betas=spec.betas)

    def advance(self, parts: Sequence[ImageBatch]) -> EncoderStepReport:
        """Do one step from `accumulate` batches. Every rank must call it, each with its share of them.

        Raises SpecError that names step and terms if a loss or the gradient is not finite.
        """
        schedule = schedules(self.spec, self.step)
        self.objective.train()
        values: dict[str, float] = {}
        for number, images in enumerate(parts):
            generator = torch.Generator().manual_seed(seed_of("encoder", "step", self.seed, self.step, number))
            draws = Draws(generator, len(images.images_I), rank(), world_size())
            with self._gradients_averaged(number == len(parts) - 1):
                crops = make_crops(images.to(self.device), self.spec, draws)
                terms = self._wrapped(crops, schedule.teacher_temperature, draws)
                for name, term in terms.items():
                    values[name] = values.get(name, 0.0) + float(over_ranks(term.detach(), "mean")) / len(parts)
                self._require_finite(values)
                (torch.stack(list(terms.values())).sum() / len(parts)).backward()  # type: ignore[no-untyped-call]
        gradient = self._clip(self.spec.clip_gradient or math.inf)
        self._require_finite(values | {"gradient": gradient})
        for group in self.optimizer.param_groups:
            group["lr"] = schedule.lr
            group["weight_decay"] = schedule.weight_decay if group["name"] == "decay" else 0.0
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.objective.after_step(schedule.momentum)
        report = EncoderStepReport(self.step, values, gradient, schedule)
        self.step += 1
        return report

    def tensors(self) -> dict[str, Tensor]:
        """All state by name: student, teacher, heads and the optimiser's moments, as whole tensors whatever the number of ranks.

        Every rank must call it; only the first gets the tensors, the others an empty dict.
        """
        state = {f"objective.{name}": tensor for name, tensor in self.objective.state_dict().items()}
        for name, parameter in self.objective.named_parameters():
            for part, tensor in self.optimizer.state.get(parameter, {}).items():
                state[f"optimizer.{part}.{name}"] = tensor
        return self._gathered_to_first(state)

    def exported(self) -> VisionTransformer | None:
        """The backbone that is exported. Every rank must call it; where ranks share it, only the first gets it."""
        backbone = self.objective.exported
        if not self._sharded:
            return backbone
        tensors = self._gathered_to_first(backbone.state_dict())
        if not tensors:
            return None
        with torch.random.fork_rng(devices=[]):
            assembled = VisionTransformer(backbone.shape)
        assembled.load_state_dict(tensors)
        return assembled.to(self.device)

    def restore(self, tensors: Mapping[str, Tensor], step: int) -> None:
        """Restore what `tensors()` gave after `step` steps. Raises ContractError if it is another model's."""
        weights = {name.removeprefix("objective."): t for name, t in tensors.items() if name.startswith("objective.")}
        state = self.objective.state_dict()
        try:
            self.objective.load_state_dict({name: self._placed(t, state.get(name, t)) for name, t in weights.items()})
        except RuntimeError as error:
            raise ContractError(f"the checkpoint of step {step} does not fit this encoder: {error}") from error
        parameters = dict(self.objective.named_parameters())
        for name, tensor in tensors.items():
            kind, _, rest = name.partition(".")
            if kind == "optimizer":
                part, _, parameter = rest.partition(".")
                trained = parameters[parameter]
                # torch.optim keeps its step counters on the CPU.
                self.optimizer.state[trained][part] = (
                    tensor.clone() if part == "step" else self._placed(tensor, trained)
                )
        self.step = step

    def _placed(self, tensor: Tensor, like: Tensor) -> Tensor:
        return as_sharded(tensor.clone().to(self.device), like)

    @staticmethod
    def _gathered_to_first(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        found = {}
        for name in sorted(tensors):  # ranks must ask in one order, and a restored optimiser's parts come in any
            gathered = whole(tensors[name].detach())
            if not rank():
                found[name] = gathered.cpu().contiguous()
        return found

    def _gradients_averaged(self, last_part: bool) -> AbstractContextManager[None]:
        """Gradients are averaged over ranks once a step, after its last part."""
        if isinstance(self._wrapped, DistributedDataParallel) and not last_part:
            without: AbstractContextManager[None] = self._wrapped.no_sync()
            return without
        return nullcontext()

    def _clip(self, most: float) -> float:
        """Clip the gradient to norm `most`; returns its norm before."""
        if self._sharded:
            average(self._trainable())
            return clip(self._trainable(), most)
        return float(nn.utils.clip_grad_norm_(self._trainable(), most))

    def _trainable(self) -> list[nn.Parameter]:
        return [parameter for parameter in self.objective.parameters() if parameter.requires_grad]

    def _require_finite(self, values: Mapping[str, float]) -> None:
        if not all(map(math.isfinite, values.values())):
            listed = ", ".join(f"{name} {value:g}" for name, value in values.items())
            raise SpecError(
                f"training diverged at step {self.step}: {listed}; lower encoder.lr, lengthen encoder.warmup_steps "
                f"or set encoder.clip_gradient"
            )
