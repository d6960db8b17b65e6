"""Run the stages of the tiny renderer's training, each at most once in a work folder.

Every stage is safe to call again: what is done is left alone, what was stopped goes on from its last snapshot.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from data_specs.errors import ContractError, SpecError
from models.tiny_world.scenes import Scene
from models.tiny_world.sprites import require_training_styles
from models.tiny_world.world import read_world
from tiny_renderer import export_renderer, train_autoencoder, train_denoiser, train_reader
from tiny_renderer.captions_of_scenes import PROSE, CaptionPool, ProseSentence, read_prose
from tiny_renderer.contact_sheet import draw_captions, tile
from tiny_renderer.image_set import PROSE_SPLIT, SceneSet, render_split
from tiny_renderer.networks import TOKENS
from tiny_renderer.training_loop import LossReport, TrainingSchedule, append_report
from tiny_renderer.vocabulary import read_tokenizer

SAMPLES = (
    "A dog on the beach.", "a red car on a city street", "apple, wooden table", "A cat next to a couch.",
    "an owl in the forest at night", "a rocket in outer space", "A rabbit behind a pumpkin.", "brick wall texture",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class TrainingPlan:
    """How long each stage is, for the next renderer; the card of the shipped one tells how that was made."""

    scenes: int = 49_152
    held_out: int = 2_048
    prose_scenes: int = 4_096
    autoencoder: TrainingSchedule = field(
        default=TrainingSchedule(6_000, 8, 3e-3, warmup=60, cool=0.35, decay=0.998, muon=True)
    )
    reader: TrainingSchedule = field(default=TrainingSchedule(700, 128, 1e-3, cool=0.4))
    denoiser: TrainingSchedule = field(
        default=TrainingSchedule(6_000, 64, 2e-3, warmup=200, cool=0.3, decay=0.9995, muon=True)
    )
    decoder: TrainingSchedule = field(default=TrainingSchedule(1_000, 16, 1e-3, cool=0.5, decay=0.99))
    styles: tuple[str, ...] | None = None
    """Styles of the scenes to render and train on; None is all five. Fewer give the U-Net more views of each concept."""
    sample_steps: int = 1_000
    workers: int = 2


def training_plan(
    lengths: Mapping[str, int] | None = None, styles: Sequence[str] | None = None, scenes: int | None = None
) -> TrainingPlan:
    """Return the plan with other lengths of stages, on some styles or fewer scenes; SpecError for an unknown name."""
    plan = TrainingPlan()
    require_training_styles(styles or ())
    schedules = [name for name in TrainingPlan.__slots__ if isinstance(getattr(plan, name), TrainingSchedule)]
    for name, steps in (lengths or {}).items():
        if name not in schedules or steps < 1:
            raise SpecError(
                f"length {name}={steps}: stages with a length are {', '.join(schedules)}, of at least one step"
            )
        plan = replace(plan, **{name: replace(getattr(plan, name), steps=steps)})
    if scenes is not None:
        plan = replace(
            plan,
            scenes=scenes,
            held_out=min(scenes, plan.held_out),
            prose_scenes=min(scenes, plan.prose_scenes),
        )
    return replace(plan, styles=tuple(styles) if styles else None)


@dataclass(frozen=True, slots=True)
class TrainingRun:
    """One training of the renderer: its work folder, its plan, and the device it runs on. `show` gets a line a report."""

    folder: Path
    plan: TrainingPlan = field(default_factory=TrainingPlan)
    device: str = "cpu"
    show: Callable[[str], None] = print

    @property
    def torch_device(self) -> torch.device:
        return torch.device(self.device)

    def images(self, split: str) -> SceneSet:
        """The rendered scenes of a split, in every style."""
        return SceneSet(self.folder / "scenes", f"{split}-*")

    def latent_chunks(self) -> dict[Path, Path]:
        """Every rendered chunk's description and where its latents belong; scenes of the prose come first."""
        chunks = [
            path
            for split in (PROSE_SPLIT, "training")
            for path in sorted((self.folder / "scenes").glob(f"{split}-*.json"))
        ]
        kept = "+".join(self.plan.styles) if self.plan.styles else "all"
        return {path: self.folder / "latents" / kept / f"{path.stem}.npy" for path in chunks}

    def report(self, report: LossReport) -> None:
        """Log one report to ``log.jsonl`` and show it in a line."""
        append_report(self.folder, asdict(report))
        losses = " ".join(f"{name} {value:.4f}" for name, value in report.losses.items())
        self.show(f"{report.stage} {report.step}: {losses}, {report.examples_per_second:.1f}/s, {report.seconds:.0f} s")

    def note(self, **figures: Any) -> None:
        """Log a measured figure."""
        append_report(self.folder, figures)
        self.show(", ".join(f"{name} {value}" for name, value in figures.items()))


def render_scenes(run: TrainingRun) -> None:
    """Render the training and held-out scenes, in the plan's styles."""
    folder = run.folder / "scenes"
    render_split(folder, "held-out", run.plan.held_out, 1, run.plan.styles)
    render_split(folder, "training", run.plan.scenes, run.plan.workers, run.plan.styles)
    render_split(folder, PROSE_SPLIT, run.plan.prose_scenes, run.plan.workers, run.plan.styles)


def fit_autoencoder(run: TrainingRun) -> None:
    """Train the autoencoder and note its PSNR on held-out scenes."""
    vae, training = train_autoencoder.start(run.folder, run.plan.autoencoder, run.torch_device)
    if not training.done:
        for report in train_autoencoder.train(vae, training, run.images("training"), run.torch_device):
            run.report(report)
        train_autoencoder.standardise(vae, training, run.images("training"), 512, run.torch_device)
        psnr = train_autoencoder.reconstruction_psnr(vae, run.images("held-out"), 512, run.torch_device)
        run.note(stage="autoencoder", held_out_psnr_db=round(psnr, 2))


def encode_scenes(run: TrainingRun) -> None:
    """Write the latents of all training scenes, and the factor that scales them to unit spread."""
    vae, training = train_autoencoder.start(run.folder, run.plan.autoencoder, run.torch_device)
    training.load_average()
    factor, encoded = run.folder / "scaling_factor.txt", run.folder / "latents" / "autoencoder_steps.txt"
    if encoded.exists() and int(encoded.read_text()) != training.step:
        raise ContractError(
            f"{encoded.parent} holds latents of the autoencoder after {encoded.read_text().strip()} steps, which has made "
            f"{training.step}; remove {encoded.parent.name}, {factor.name}, decoder.safetensors and denoiser.safetensors to "
            "go on with it, or train in a new work folder"
        )
    encoded.parent.mkdir(parents=True, exist_ok=True)
    encoded.write_text(f"{training.step}\n")
    for described, path in run.latent_chunks().items():
        path.parent.mkdir(parents=True, exist_ok=True)
        images = SceneSet(described.parent, described.stem, run.plan.styles)
        train_autoencoder.write_latents(vae, images, path, run.torch_device)
        if not factor.exists():
            factor.write_text(f"{1 / train_denoiser.spread_of(np.load(path)):.5f}\n")


def fit_reader(run: TrainingRun) -> None:
    """Learn the vocabulary and train the text encoder; note how well it reads prose that it has not seen."""
    world = read_world()
    training_prose, unseen = split_prose(read_prose(PROSE, world))
    pool = CaptionPool(training_prose)
    tokenizer = train_reader.make_vocabulary(run.folder / "vocabulary", pool, training_prose, world)
    tagger, training = train_reader.start(tokenizer, world, run.folder, run.plan.reader, run.torch_device)
    if not training.done:
        source = train_reader.CaptionSource(world, training_prose)
        for report in train_reader.train(tagger, training, tokenizer, source, run.torch_device):
            run.report(report)
        training.load_average()
        if unseen:
            said = [Scene("any", *sentence.key) for sentence in unseen]
            texts = [sentence.text for sentence in unseen]
            accuracy = train_reader.reading_accuracy(tagger, tokenizer, texts, said, world)
            run.note(stage="reader", unseen_prose=len(unseen), **{k: round(v, 4) for k, v in accuracy.items()})


def split_prose(prose: list[ProseSentence]) -> tuple[list[ProseSentence], list[ProseSentence]]:
    """Split into the sentences to train on and, for measuring, every twentieth."""
    return [p for k, p in enumerate(prose) if k % 20], [p for k, p in enumerate(prose) if k % 20 == 0]


def fit_denoiser(run: TrainingRun) -> None:
    """Train the U-Net; every ``sample_steps`` steps draw a sheet with the averaged weights."""
    world = read_world()
    training_prose, _ = split_prose(read_prose(PROSE, world))
    tokenizer = read_tokenizer(run.folder / "vocabulary", TOKENS)
    tagger, reading = train_reader.start(tokenizer, world, run.folder, run.plan.reader, run.torch_device)
    reading.load_average()
    parts = [
        (np.load(path, mmap_mode="r"), SceneSet(described.parent, described.stem, run.plan.styles))
        for described, path in run.latent_chunks().items()
        if path.exists()  # more may be encoded while this trains; a restart includes them
    ]
    latents = train_denoiser.LatentSet(parts, float((run.folder / "scaling_factor.txt").read_text()))
    denoiser, training = train_denoiser.start(run.folder, run.plan.denoiser, run.torch_device)
    if training.done:
        return
    captions, tower = CaptionPool(training_prose), tagger.tower
    for report in train_denoiser.train(denoiser, training, tower, tokenizer, latents, captions, run.torch_device):
        run.report(report)
        if report.step % run.plan.sample_steps == 0 or training.done:
            training.snapshot()
            draw_samples(run, run.folder / "samples" / f"{report.step:06d}.png")


def draw_samples(run: TrainingRun, path: Path) -> None:
    """Draw four images of each of ``SAMPLES`` with the averaged weights as they are on disk."""
    pipeline = export_renderer.assemble(run.folder)
    pipeline.set_progress_bar_config(disable=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    tile(draw_captions(pipeline, SAMPLES, per_caption=4, steps=12, guidance=2.5, seed=0), columns=16).save(path)


def polish_decoder(run: TrainingRun) -> None:
    """Train the decoder further while all latents stay as they are; note the PSNR again."""
    vae, fitted = train_autoencoder.start(run.folder, run.plan.autoencoder, run.torch_device)
    fitted.load_average()
    training = train_autoencoder.start_polish(vae, run.folder, run.plan.decoder)
    if not training.done:
        for report in train_autoencoder.polish(vae, training, run.images("training"), run.torch_device):
            run.report(report)
        training.load_average()
        psnr = train_autoencoder.reconstruction_psnr(vae, run.images("held-out"), 512, run.torch_device)
        run.note(stage="decoder", held_out_psnr_db=round(psnr, 2))
