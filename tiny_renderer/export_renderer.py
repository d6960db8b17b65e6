"""Assemble the trained parts of a work folder, and export them as a Stable Diffusion folder."""

from __future__ import annotations

import shutil
from pathlib import Path

from data_specs.errors import ContractError
from tiny_renderer.networks import (
    TOKENS,
    Pipeline,
    build_autoencoder,
    build_denoiser,
    build_pipeline,
    build_text_encoder,
    export_pipeline,
)
from tiny_renderer.snapshots import averaged_weights
from tiny_renderer.vocabulary import read_tokenizer

BYTES = 30_000_000


def assemble(folder: Path) -> Pipeline:
    """Return the pipeline of the averaged weights that ``folder`` holds now, also while it is being trained."""
    tokenizer = read_tokenizer(folder / "vocabulary", TOKENS)
    tower = build_text_encoder(len(tokenizer), tokenizer.bos_token_id, tokenizer.eos_token_id)
    read = averaged_weights(folder / "reader.safetensors", "tagger")
    tower.load_state_dict({k.removeprefix("tower."): v for k, v in read.items() if k.startswith("tower.")})
    vae = build_autoencoder()
    vae.load_state_dict(averaged_weights(folder / "autoencoder.safetensors", "vae"))
    polished = folder / "decoder.safetensors"
    if polished.exists():
        vae.decoder.load_state_dict(averaged_weights(polished, "decoder"))
        vae.post_quant_conv.load_state_dict(averaged_weights(polished, "entry"))
    vae.register_to_config(scaling_factor=float((folder / "scaling_factor.txt").read_text()))
    denoiser = build_denoiser()
    denoiser.load_state_dict(averaged_weights(folder / "denoiser.safetensors", "unet"))
    return build_pipeline(vae.eval(), tower.eval(), tokenizer, denoiser.eval())


def export(folder: Path, target: Path) -> int:
    """Write ``target`` anew, whole or not at all, keeping its README; return the bytes of weights."""
    partial = target.with_name(target.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    weights = export_pipeline(assemble(folder), partial)
    if weights > BYTES:
        raise ContractError(f"the weights take {weights} bytes, {BYTES} are allowed; make the parts smaller")
    # CLIP's own two files: the stock class of today writes tokenizer.json alone.
    for name in ("vocab.json", "merges.txt"):
        shutil.copy(folder / "vocabulary" / name, partial / "tokenizer" / name)
    card = target / "README.md"
    if card.exists():
        shutil.copy(card, partial / "README.md")
    shutil.rmtree(target, ignore_errors=True)
    partial.replace(target)
    return weights
