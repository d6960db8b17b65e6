"""The learning state of one run: pictures enter step by step, named losses leave, and all of it can be put on disk.

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
from data_specs.run import EncoderSpec
from models.encoder.batch import Pictures, cut
from models.encoder.draws import Draws
from models.encoder.gather import over_ranks, rank, world_size
from models.encoder.objectives import Objective
from models.encoder.parameters import groups
from models.encoder.schedules import cosine, linear, warmup_cosine
from models.encoder.sharding import as_sharded, average, clip, shard, whole
from models.encoder.vit import VisionTransformer


@dataclass(frozen=True, slots=True)
class Schedules:
    """The knobs that move, at one step (SynCLR Table 12; reference for the momentum)."""

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
class StepReport:
    """What happened in step `step` (from 0): weighted loss terms, gradient length before clipping, the knobs used."""

    step: int
    terms: dict[str, float]
    gradient: float
    knobs: Schedules

    @property
    def loss(self) -> float:
        return math.fsum(self.terms.values())


class Training:
    """`step` is the number of steps done; `advance` does the next one."""

    def __init__(self, spec: EncoderSpec, seed: int, concepts: int = 0, device: str = "cpu") -> None:
        """`concepts` is how many a classifier has to tell apart. Raises SpecError for sizes that do not fit together."""
        self.spec, self.seed, self.device, self.step = spec, seed, device, 0
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed_of("encoder", "initial", seed))
            self.objective = Objective(spec, concepts).to(device)
        if spec.compile:
            self.objective.student.backbone.compile()
        self._sharded = spec.sharded and world_size() > 1
        self._learner: nn.Module = self.objective
        if self._sharded:
            shard(self.objective, device)
        elif world_size() > 1:
            self._learner = DistributedDataParallel(self.objective)
        self.optimizer = torch.optim.AdamW(groups(self.objective), lr=spec.lr, betas=spec.betas)

    def advance(self, parts: Sequence[Pictures]) -> StepReport:
        """One step from `accumulate` batches. Every rank must call it, each with its share of them.

        Raises SpecError that names step and terms if a loss or the gradient is not finite.
        """
        now = schedules(self.spec, self.step)
        self.objective.train()
        values: dict[str, float] = {}
        for number, pictures in enumerate(parts):
            generator = torch.Generator().manual_seed(seed_of("encoder", "step", self.seed, self.step, number))
            draws = Draws(generator, len(pictures.images_I), rank(), world_size())
            with self._gradients_averaged(number == len(parts) - 1):
                terms = self._learner(cut(pictures.to(self.device), self.spec, draws), now.teacher_temperature, draws)
                for name, term in terms.items():
                    values[name] = values.get(name, 0.0) + float(over_ranks(term.detach(), "mean")) / len(parts)
                self._require_finite(values)
                (torch.stack(list(terms.values())).sum() / len(parts)).backward()  # type: ignore[no-untyped-call]
        gradient = self._clipped(self.spec.clip_gradient or math.inf)
        self._require_finite(values | {"gradient": gradient})
        for group in self.optimizer.param_groups:
            group["lr"] = now.lr
            group["weight_decay"] = now.weight_decay if group["name"] == "decay" else 0.0
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.objective.after_step(now.momentum)
        report = StepReport(self.step, values, gradient, now)
        self.step += 1
        return report

    def tensors(self) -> dict[str, Tensor]:
        """Everything to go on from here: student, teacher, heads and the optimiser's moments, by name.

        The same whole tensors however many ranks there are. Every rank must call it; the first alone gets them.
        """
        state = {f"objective.{name}": tensor for name, tensor in self.objective.state_dict().items()}
        for name, parameter in self.objective.named_parameters():
            for part, tensor in self.optimizer.state.get(parameter, {}).items():
                state[f"optimizer.{part}.{name}"] = tensor
        return self._first_rank_s(state)

    def exported(self) -> VisionTransformer | None:
        """The backbone that the recipe keeps. Every rank must call it; the first alone gets it."""
        backbone = self.objective.exported
        if not self._sharded:
            return backbone
        tensors = self._first_rank_s(backbone.state_dict())
        if not tensors:
            return None
        with torch.random.fork_rng(devices=[]):
            put_together = VisionTransformer(backbone.shape)
        put_together.load_state_dict(tensors)
        return put_together.to(self.device)

    def restore(self, tensors: Mapping[str, Tensor], step: int) -> None:
        """Take over what `tensors` gave after `step` steps. Raises ContractError if it is another model's."""
        weights = {name.removeprefix("objective."): t for name, t in tensors.items() if name.startswith("objective.")}
        state = self.objective.state_dict()
        try:
            self.objective.load_state_dict({name: self._mine(t, state.get(name, t)) for name, t in weights.items()})
        except RuntimeError as error:
            raise ContractError(f"the checkpoint of step {step} does not fit this encoder: {error}") from error
        parameters = dict(self.objective.named_parameters())
        for name, tensor in tensors.items():
            kind, _, rest = name.partition(".")
            if kind == "optimizer":
                part, _, parameter = rest.partition(".")
                trained = parameters[parameter]
                # torch.optim keeps its step counters on the CPU.
                self.optimizer.state[trained][part] = tensor.clone() if part == "step" else self._mine(tensor, trained)
        self.step = step

    def _mine(self, tensor: Tensor, like: Tensor) -> Tensor:
        return as_sharded(tensor.clone().to(self.device), like)

    @staticmethod
    def _first_rank_s(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        found = {}
        for name in sorted(tensors):  # ranks must ask in one order, and a restored optimiser's parts come in any
            gathered = whole(tensors[name].detach())
            if not rank():
                found[name] = gathered.cpu().contiguous()
        return found

    def _gradients_averaged(self, now: bool) -> AbstractContextManager[None]:
        """Over ranks: once a step, after its last part."""
        if isinstance(self._learner, DistributedDataParallel) and not now:
            apart: AbstractContextManager[None] = self._learner.no_sync()
            return apart
        return nullcontext()

    def _clipped(self, most: float) -> float:
        """The gradient's length before it is shortened to at most `most`."""
        if self._sharded:
            average(self._trained())
            return clip(self._trained(), most)
        return float(nn.utils.clip_grad_norm_(self._trained(), most))

    def _trained(self) -> list[nn.Parameter]:
        return [parameter for parameter in self.objective.parameters() if parameter.requires_grad]

    def _require_finite(self, values: Mapping[str, float]) -> None:
        if not all(map(math.isfinite, values.values())):
            listed = ", ".join(f"{name} {value:g}" for name, value in values.items())
            raise SpecError(
                f"training diverged at step {self.step}: {listed}; lower encoder.lr, lengthen encoder.warmup_steps "
                f"or set encoder.clip_gradient"
            )
