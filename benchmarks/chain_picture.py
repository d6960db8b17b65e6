"""Draw README's picture from a run: a concept, its caption, the four images, the encoder and its scores.

    python -m benchmarks.chain_picture RUN --root ROOT --caption KEY --output docs/pictures/chain.png

The caption's key is one that `synclr show images-000000` names; without it, the first of the run.
"""

import argparse
import io
import textwrap
from collections import defaultdict
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from data_specs import image_group
from data_specs.image_group import ImageGroup
from flows.runs.plan import RunPlan, read_plan
from tasks.scores.summary import NAMES, scored
from tasks.shards import read_shard, sealed_shards

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont

WIDTH, HEIGHT = 1200, 300
INK, FAINT, BLUE, GREY = (30, 34, 42), (120, 126, 138), (52, 101, 164), (186, 191, 201)
COLOURS = {"trained": BLUE, "random": GREY, "hog": (150, 157, 170)}
TITLES = ((20, "concept"), (190, "caption"), (420, "images"), (690, "encoder"), (850, "scores: top-1, linear probe"))


def group_of(plan: RunPlan, key: str | None) -> ImageGroup:
    for address in sealed_shards(plan.stages["images"]):
        for group in read_shard(address, image_group.CONTRACT):
            if key is None or group.caption.id == key:
                return group
    raise SystemExit(f"no caption {key} among the images of {plan.name}")


def means(plan: RunPlan) -> dict[str, dict[str, float]]:
    """Benchmark -> kind of encoder -> mean of the ridge probe over folds, drawings and initialisations."""
    found: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for row in scored(plan.stages["scores"]):
        if row["protocol"] == "ridge" and row["subset"] == "all":
            found[row["benchmark"]][row["encoder"].partition("-")[0]].append(row["value"])
    return {name: {kind: sum(v) / len(v) for kind, v in kinds.items()} for name, kinds in found.items()}


def chain(plan: RunPlan, key: str | None) -> Image.Image:
    page = Image.new("RGB", (WIDTH, HEIGHT), "white")
    draw, group = ImageDraw.Draw(page), group_of(plan, key)
    large, usual, small = (ImageFont.load_default(size) for size in (22, 17, 13))
    for left, title in TITLES:
        draw.text((left, 14), title, FAINT, small)
    about = group.caption
    draw.text((20, 120), about.concept, INK, large)
    draw.text((20, 150), f"{about.kind}, {about.category}", FAINT, small)
    draw.multiline_text((190, 100), "\n".join(textwrap.wrap(about.text, 20)), INK, usual, spacing=6)
    for number, data in enumerate(group.pixels[:4]):
        image = Image.open(io.BytesIO(data)).convert("RGB").resize((108, 108), Image.Resampling.LANCZOS)
        page.paste(image, (420 + 116 * (number % 2), 38 + 116 * (number // 2)))
    draw.rounded_rectangle((690, 90, 790, 210), 10, outline=BLUE, width=3)
    draw.text((740, 140), "ViT", BLUE, large, anchor="mm")
    draw.text((740, 168), plan.spec.encoder.architecture.removeprefix("vit_"), FAINT, small, anchor="mm")
    for left, right in ((140, 180), (370, 410), (654, 684), (796, 836)):
        _arrow(draw, left, right, 150)
    _bars(draw, means(plan), small)
    return page


def _arrow(draw: ImageDraw.ImageDraw, left: int, right: int, y: int) -> None:
    draw.line((left, y, right - 8, y), INK, 2)
    draw.polygon([(right, y), (right - 9, y - 5), (right - 9, y + 5)], INK)


def _bars(draw: ImageDraw.ImageDraw, found: dict[str, dict[str, float]], font: Font) -> None:
    top, most = 40, max((value for kinds in found.values() for value in kinds.values()), default=1.0)
    for benchmark, kinds in found.items():
        draw.text((850, top), benchmark.replace("_", " "), INK, font)
        for line, (kind, name) in enumerate(NAMES.items()):
            value, y = kinds.get(kind, 0.0), top + 18 + 17 * line
            draw.rectangle((850, y + 2, 850 + 190 * value / most, y + 14), COLOURS[kind])
            draw.text((856 + 190 * value / most, y), f"{100 * value:.1f} %  {name}", FAINT, font)
        top += 82


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run")
    parser.add_argument("--root", default="workspace")
    parser.add_argument("--caption", help="a caption's key")
    parser.add_argument("--output", type=Path, default=Path("docs/pictures/chain.png"))
    arguments = parser.parse_args()
    chain(read_plan(arguments.root, arguments.run), arguments.caption).quantize(96).save(
        arguments.output, optimize=True
    )
    print(arguments.output)


if __name__ == "__main__":
    main()
