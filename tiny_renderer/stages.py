"""A work folder enters, the stages of the tiny renderer's training leave their results in it, each at most once.

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
from tiny_renderer.captions_of_scenes import PROSE, CaptionPool, Prose, read_prose
from tiny_renderer.contact_sheet import draw_captions, tile
from tiny_renderer.image_set import SPOKEN, PictureSet, render_split
from tiny_renderer.networks import TOKENS
from tiny_renderer.training_loop import Schedule, StepReport, append_report
from tiny_renderer.vocabulary import read_tokenizer

Say = Callable[[str], None]
SAMPLES = (
    "A dog on the beach.", "a red car on a city street", "apple, wooden table", "A cat next to a couch.",
    "an owl in the forest at night", "a rocket in outer space", "A rabbit behind a pumpkin.", "brick wall texture",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Plan:
    """How long each stage is: a tidied form of how the shipped weights were made, which their card tells as it was."""

    scenes: int = 49_152
    held_out: int = 2_048
    spoken: int = 4_096
    autoencoder: Schedule = field(default=Schedule(560, 16, 2e-3, warmup=60, cool=0.35, decay=0.98))
    reader: Schedule = field(default=Schedule(700, 128, 1e-3, cool=0.4))
    denoiser: Schedule = field(default=Schedule(6_000, 32, 1e-3, warmup=200, cool=0.4, decay=0.9995))
    decoder: Schedule = field(default=Schedule(1_000, 16, 1e-3, cool=0.5, decay=0.99))
    styles: tuple[str, ...] | None = None
    """Sheets that the U-Net learns; None is all five. On a starved CPU two styles give something sooner."""
    sample_steps: int = 1_000
    workers: int = 2


def plan_of(
    lengths: Mapping[str, int] | None = None, styles: Sequence[str] | None = None, scenes: int | None = None
) -> Plan:
    """Return the plan with other lengths of stages, on some styles or fewer scenes; SpecError for a name it has not."""
    plan = Plan()
    require_training_styles(styles or ())
    schedules = [name for name in Plan.__slots__ if isinstance(getattr(plan, name), Schedule)]
    for name, steps in (lengths or {}).items():
        if name not in schedules or steps < 1:
            raise SpecError(
                f"length {name}={steps}: stages of a length are {', '.join(schedules)}, of at least one step"
            )
        plan = replace(plan, **{name: replace(getattr(plan, name), steps=steps)})
    if scenes is not None:
        plan = replace(plan, scenes=scenes, held_out=min(scenes, plan.held_out), spoken=min(scenes, plan.spoken))
    return replace(plan, styles=tuple(styles) if styles else None)


@dataclass(frozen=True, slots=True)
class Workshop:
    """Where a training lives and on what it runs."""

    folder: Path
    plan: Plan = field(default_factory=Plan)
    device: str = "cpu"
    say: Say = print

    @property
    def torch_device(self) -> torch.device:
        """The device as torch wants it."""
        return torch.device(self.device)

    def pictures(self, split: str) -> PictureSet:
        """Return the rendered scenes of a split, in every style."""
        return PictureSet(self.folder / "scenes", f"{split}-*")

    def latent_chunks(self) -> dict[Path, Path]:
        """Return every rendered chunk's description and where its latents belong; spoken scenes come first."""
        chunks = [
            path for split in (SPOKEN, "training") for path in sorted((self.folder / "scenes").glob(f"{split}-*.json"))
        ]
        kept = "+".join(self.plan.styles) if self.plan.styles else "all"
        return {path: self.folder / "latents" / kept / f"{path.stem}.npy" for path in chunks}

    def report(self, report: StepReport) -> None:
        """Log one report to ``log.jsonl`` and say it in a line."""
        append_report(self.folder, asdict(report))
        losses = " ".join(f"{name} {value:.4f}" for name, value in report.losses.items())
        self.say(f"{report.stage} {report.step}: {losses}, {report.examples_per_second:.1f}/s, {report.seconds:.0f} s")

    def note(self, **figures: Any) -> None:
        """Log a measured figure."""
        append_report(self.folder, figures)
        self.say(", ".join(f"{name} {value}" for name, value in figures.items()))


def render_scenes(shop: Workshop) -> None:
    """Render the training and held-out scenes."""
    folder = shop.folder / "scenes"
    render_split(folder, "held-out", shop.plan.held_out, 1)
    render_split(folder, "training", shop.plan.scenes, shop.plan.workers)
    render_split(folder, SPOKEN, shop.plan.spoken, shop.plan.workers)


def fit_autoencoder(shop: Workshop) -> None:
    """Train the autoencoder and note its PSNR on held-out scenes."""
    vae, training = train_autoencoder.start(shop.folder, shop.plan.autoencoder, shop.torch_device)
    if not training.done:
        for report in train_autoencoder.train(vae, training, shop.pictures("training"), shop.torch_device):
            shop.report(report)
        training.load_average()
        psnr = train_autoencoder.reconstruction_psnr(vae, shop.pictures("held-out"), 512, shop.torch_device)
        shop.note(stage="autoencoder", held_out_psnr_db=round(psnr, 2))


def encode_scenes(shop: Workshop) -> None:
    """Write the latents of all training scenes, and the factor that scales them to unit spread."""
    vae, training = train_autoencoder.start(shop.folder, shop.plan.autoencoder, shop.torch_device)
    training.load_average()
    factor, encoded = shop.folder / "scaling_factor.txt", shop.folder / "latents" / "autoencoder_steps.txt"
    if encoded.exists() and int(encoded.read_text()) != training.step:
        raise ContractError(
            f"{encoded.parent} holds latents of the autoencoder after {encoded.read_text().strip()} steps, which has made "
            f"{training.step}; remove {encoded.parent.name}, {factor.name}, decoder.safetensors and denoiser.safetensors to "
            "go on with it, or train in a new work folder"
        )
    encoded.parent.mkdir(parents=True, exist_ok=True)
    encoded.write_text(f"{training.step}\n")
    for described, path in shop.latent_chunks().items():
        path.parent.mkdir(parents=True, exist_ok=True)
        pictures = PictureSet(described.parent, described.stem, shop.plan.styles)
        train_autoencoder.encode_scenes(vae, pictures, path, shop.torch_device)
        if not factor.exists():
            factor.write_text(f"{1 / train_denoiser.spread_of(np.load(path)):.5f}\n")


def fit_reader(shop: Workshop) -> None:
    """Learn the vocabulary and train the text tower; note how well it reads prose that it has not seen."""
    world = read_world()
    training_prose, unseen = split_prose(read_prose(PROSE, world))
    pool = CaptionPool(training_prose)
    tokenizer = train_reader.make_vocabulary(shop.folder / "vocabulary", pool, training_prose, world)
    tagger, training = train_reader.start(tokenizer, world, shop.folder, shop.plan.reader, shop.torch_device)
    if not training.done:
        source = train_reader.CaptionSource(world, training_prose)
        for report in train_reader.train(tagger, training, tokenizer, source, shop.torch_device):
            shop.report(report)
        training.load_average()
        if unseen:
            said = [Scene("any", *sentence.key) for sentence in unseen]
            texts = [sentence.text for sentence in unseen]
            accuracy = train_reader.reading_accuracy(tagger, tokenizer, texts, said, world)
            shop.note(stage="reader", unseen_prose=len(unseen), **{k: round(v, 4) for k, v in accuracy.items()})


def split_prose(prose: list[Prose]) -> tuple[list[Prose], list[Prose]]:
    """Keep every twentieth sentence for measuring."""
    return [p for k, p in enumerate(prose) if k % 20], [p for k, p in enumerate(prose) if k % 20 == 0]


def fit_denoiser(shop: Workshop) -> None:
    """Train the U-Net; every ``sample_steps`` steps draw a sheet with the averaged weights."""
    world = read_world()
    training_prose, _ = split_prose(read_prose(PROSE, world))
    tokenizer = read_tokenizer(shop.folder / "vocabulary", TOKENS)
    tagger, reading = train_reader.start(tokenizer, world, shop.folder, shop.plan.reader, shop.torch_device)
    reading.load_average()
    parts = [
        (np.load(path, mmap_mode="r"), PictureSet(described.parent, described.stem, shop.plan.styles).scenes)
        for described, path in shop.latent_chunks().items()
        if path.exists()  # more may be encoded while this trains; a restart takes them in
    ]
    latents = train_denoiser.LatentSet(parts, float((shop.folder / "scaling_factor.txt").read_text()))
    denoiser, training = train_denoiser.start(shop.folder, shop.plan.denoiser, shop.torch_device)
    if training.done:
        return
    captions, tower = CaptionPool(training_prose), tagger.tower
    for report in train_denoiser.train(denoiser, training, tower, tokenizer, latents, captions, shop.torch_device):
        shop.report(report)
        if report.step % shop.plan.sample_steps == 0 or training.done:
            training.snapshot()
            draw_samples(shop, shop.folder / "samples" / f"{report.step:06d}.png")


def draw_samples(shop: Workshop, path: Path) -> None:
    """Draw four pictures of each of ``SAMPLES`` with the averaged weights as they are on disk."""
    pipeline = export_renderer.assemble(shop.folder)
    pipeline.set_progress_bar_config(disable=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    tile(draw_captions(pipeline, SAMPLES, per_caption=4, steps=12, guidance=2.5, seed=0), columns=16).save(path)


def polish_decoder(shop: Workshop) -> None:
    """Train the decoder further while all latents stay as they are; note the PSNR again."""
    vae, fitted = train_autoencoder.start(shop.folder, shop.plan.autoencoder, shop.torch_device)
    fitted.load_average()
    training = train_autoencoder.start_polish(vae, shop.folder, shop.plan.decoder)
    if not training.done:
        for report in train_autoencoder.polish(vae, training, shop.pictures("training"), shop.torch_device):
            shop.report(report)
        training.load_average()
        psnr = train_autoencoder.reconstruction_psnr(vae, shop.pictures("held-out"), 512, shop.torch_device)
        shop.note(stage="decoder", held_out_psnr_db=round(psnr, 2))
