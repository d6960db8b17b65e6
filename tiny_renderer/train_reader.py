"""Train the text encoder, as a tagger that finds in a caption what is to be drawn, and learn its vocabulary."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from transformers import CLIPTokenizer

from models.tiny_world.scenes import Scene
from models.tiny_world.world import World
from tiny_renderer.captions_of_scenes import CaptionPool, ProseSentence
from tiny_renderer.labels import label_names, label_scenes
from tiny_renderer.networks import TOKENS, CaptionTagger, build_text_encoder, tagging_loss
from tiny_renderer.sampling import sample_scene, scene_seed
from tiny_renderer.training_loop import LossReport, RendererTraining, TrainingSchedule
from tiny_renderer.vocabulary import learn_vocabulary, read_tokenizer

VOCABULARY = 3072
TEMPLATES_FOR_VOCABULARY = 20_000


def make_vocabulary(folder: Path, pool: CaptionPool, prose: Sequence[ProseSentence], world: World) -> CLIPTokenizer:
    """Learn the vocabulary from the prose and 20,000 templates; a folder that has one keeps it."""
    if not (folder / "merges.txt").exists():
        texts = [sentence.text for sentence in prose]
        for number in range(TEMPLATES_FOR_VOCABULARY):
            seed = scene_seed("vocabulary", number)
            texts.append(pool.caption(sample_scene(world, ("any",), seed), np.random.default_rng(seed))[0])
        learn_vocabulary(texts, VOCABULARY, folder)
    return read_tokenizer(folder, TOKENS)


def tokenize(tokenizer: CLIPTokenizer, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
    """Return token ids (N, TOKENS) as the pipeline pads them, and where each text's end token stands (N)."""
    tokens_NT = tokenizer(
        list(texts), padding="max_length", max_length=TOKENS, truncation=True, return_tensors="pt"
    ).input_ids
    return tokens_NT, (tokens_NT == tokenizer.eos_token_id).int().argmax(dim=1)


class CaptionSource:
    """Labelled captions without end: templates of sampled scenes, and prose in the pool's share."""

    def __init__(self, world: World, prose: Sequence[ProseSentence]) -> None:
        self.world, self.prose = world, prose
        self.templates = CaptionPool((), share=0.0)

    def draw(self, rng: np.random.Generator, count: int) -> tuple[list[str], list[Scene]]:
        """Return captions and what they say."""
        texts, said = [], []
        for _ in range(count):
            if self.prose and rng.random() < 0.5:
                sentence = self.prose[int(rng.integers(len(self.prose)))]
                texts.append(sentence.text)
                said.append(Scene("any", *sentence.key))
            else:
                scene = sample_scene(self.world, ("any",), int(rng.integers(2**62)))
                text, meant = self.templates.caption(scene, rng)
                texts.append(text)
                said.append(meant)
        return texts, said


def start(
    tokenizer: CLIPTokenizer, world: World, folder: Path, schedule: TrainingSchedule, device: torch.device
) -> tuple[CaptionTagger, RendererTraining]:
    """Return the tagger, as far as it has been trained in ``folder``, and its training."""
    torch.manual_seed(0)
    tower = build_text_encoder(len(tokenizer), tokenizer.bos_token_id, tokenizer.eos_token_id)
    tagger = CaptionTagger(tower, {label: len(names) + 1 for label, names in label_names(world).items()}).to(device)
    return tagger, RendererTraining("reader", {"tagger": tagger}, schedule, folder)


def train(
    tagger: CaptionTagger,
    training: RendererTraining,
    tokenizer: CLIPTokenizer,
    source: CaptionSource,
    device: torch.device,
) -> Iterator[LossReport]:
    """Train on fresh captions; yield reports. Tokens after the longest caption are not computed: the tower is causal."""

    def losses_of(step: int) -> dict[str, Tensor]:
        texts, said = source.draw(np.random.default_rng([2, step]), training.schedule.batch)
        tokens_NT, last_N = tokenize(tokenizer, texts)
        tokens_NT = tokens_NT[:, : int(last_N.max()) + 1]
        labels = torch.from_numpy(label_scenes(said, source.world)).to(device)
        with torch.autocast(device.type, torch.bfloat16):
            return tagging_loss(tagger(tokens_NT.to(device), last_N.to(device)), labels)

    tagger.train()
    yield from training.run(losses_of)


@torch.inference_mode()
def reading_accuracy(
    tagger: CaptionTagger, tokenizer: CLIPTokenizer, texts: Sequence[str], said: Sequence[Scene], world: World
) -> dict[str, float]:
    """Return the share of right answers per label on given captions, none counted as a class."""
    tagger.eval()
    device = next(tagger.parameters()).device
    tokens_NT, last_N = tokenize(tokenizer, texts)
    logits = tagger(tokens_NT.to(device), last_N.to(device))
    labels = torch.from_numpy(label_scenes(said, world))
    return {
        name: float((values.argmax(dim=1).cpu() == labels[:, column]).float().mean())
        for column, (name, values) in enumerate(logits.items())
    }
