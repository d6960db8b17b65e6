"""Measure what choosing images by an encoder's score (trained with CLIP's objective) does to how a judge sees them.

``python -m benchmarks.tiny_renderer.reranking --work DIR --encoder ROOT/encoder/LINEAGE/encoder [--captions 128]``; ``DIR``
is the folder of ``benchmarks.tiny_renderer.measure``, where the judge is (it is made if it is not there). Of every caption's
candidates the best four by the encoder's score are kept, as ``images.scorer`` keeps them; beside them the first four, which
is what is drawn without a scorer, and the worst four. The judge has seen rendered scenes alone, and no score.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

from benchmarks.tiny_renderer.judge import STEPS, alignment, train_judge
from benchmarks.tiny_renderer.measure import PER_CAPTION, RECIPE, as_pixels, diversity, unseen_prose
from models.renderer.build import TINY
from models.scorer.encoder import encoder_scorer
from models.tiny_world.scenes import Scene
from models.weights import identify
from tiny_renderer.contact_sheet import draw_captions
from tiny_renderer.networks import load_pipeline


def main() -> None:
    """Measure and print one line of JSON for each of the three choices."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--encoder", type=Path, required=True)
    parser.add_argument("--model", type=Path, default=TINY)
    parser.add_argument("--captions", type=int, default=128, help="at most so many")
    parser.add_argument("--candidates", type=int, default=2 * PER_CAPTION, help="drawn of each; four are kept")
    parser.add_argument("--prose", type=Path, help="captions to draw instead of those held out from the renderer")
    arguments = parser.parse_args()

    scorer = encoder_scorer(arguments.encoder, identify(str(arguments.encoder), None, setting="--encoder"), "cpu")
    judge = train_judge(arguments.work, STEPS)
    said = unseen_prose(arguments.prose)[: arguments.captions]
    texts = [sentence.text for sentence in said]
    candidates = as_pixels(
        draw_captions(
            load_pipeline(arguments.model),
            texts,
            per_caption=arguments.candidates,
            steps=RECIPE.steps,
            guidance=RECIPE.guidance_scale,
            seed=1,
        )
    )
    scores = np.array(
        scorer.score(
            [image.astype(np.float32) / 255 for image in candidates],
            [text for text in texts for _ in range(arguments.candidates)],
        )
    )
    order_CK = np.argsort(-scores.reshape(len(texts), -1), axis=1, kind="stable")
    in_turn_CK = np.broadcast_to(np.arange(arguments.candidates), order_CK.shape)
    choices = {"best": order_CK, "first": in_turn_CK, "worst": order_CK[:, ::-1]}
    expected = [Scene("any", *sentence.key) for sentence in said for _ in range(PER_CAPTION)]
    for choice, places_CK in choices.items():
        rows = (np.arange(len(texts))[:, None] * arguments.candidates + places_CK[:, :PER_CAPTION]).ravel()
        kept = candidates[rows]
        figures = {"choice": choice, "captions": len(texts), "candidates": arguments.candidates, "images": len(kept)}
        figures |= {"score": round(float(scores[rows].mean()), 4), "diversity": round(diversity(kept), 2)}
        print(json.dumps(figures | alignment(judge, kept, expected)))


if __name__ == "__main__":
    main()
