"""Draw small inline SVG charts. They hold no colours: the page's style sheet gives them by class.

Bars are drawn without text, so that a page can set words beside them in its own size; line charts carry their own axes.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

MOST_POINTS = 240
"""Points of one line: more cannot be seen at the width of a page, and a long run has half a million steps."""
WIDTH, HEIGHT = 340, 190
LEFT, RIGHT, TOP, BOTTOM = 44, 8, 8, 24
"""Of a line chart, in its own units; about pixels on a phone."""


@dataclass(frozen=True, slots=True)
class Part:
    """One piece of a stacked bar; `css` is the class that colours it."""

    label: str
    value: float
    css: str


def stacked(parts: Sequence[Part], total: float, label: str) -> Markup:
    """Draw one horizontal bar as wide as its box, cut into parts; `total` is the value of the whole width."""
    pieces, left = [], 0.0
    for part in parts:
        width = 100 * part.value / total if total > 0 else 0.0
        pieces.append(
            Markup('<rect class="{}" x="{}" y="0" width="{}" height="10"><title>{}: {:,g}</title></rect>').format(
                part.css, _short(left), _short(width), part.label, part.value
            )
        )
        left += width
    return _wide(Markup("").join(pieces), label)


def columns(groups: Sequence[Sequence[Part]], label: str) -> Markup:
    """Draw columns side by side, each a stack of parts; the highest fills the height."""
    most = max((math.fsum(part.value for part in parts) for parts in groups), default=0.0)
    if most <= 0:
        return Markup("")
    width, pieces = 100 / len(groups), []
    for number, parts in enumerate(groups):
        down = 0.0
        for part in parts:
            height = 40 * part.value / most
            down += height
            if part.value:
                pieces.append(
                    Markup('<rect class="{}" x="{}" y="{}" width="{}" height="{}"><title>{}</title></rect>').format(
                        part.css,
                        _short(width * number),
                        _short(40 - down),
                        _short(0.9 * width),
                        _short(height),
                        part.label,
                    )
                )
    return Markup(
        '<svg class="columns" viewBox="0 0 100 40" preserveAspectRatio="none" role="img" aria-label="{}">{}</svg>'
    ).format(label, Markup("").join(pieces))


def bar(
    value: float,
    most: float,
    label: str,
    *,
    css: str,
    span: tuple[float, float] | None = None,
    mark: float | None = None,
) -> Markup:
    """Draw one horizontal bar with a whisker from `span[0]` to `span[1]` and a tick at `mark`; `most` fills the width."""

    def at(number: float) -> str:
        return _short(min(100.0, max(0.0, 100 * number / most)) if most > 0 else 0.0)

    pieces = [Markup('<rect class="{}" x="0" y="2" width="{}" height="6"/>').format(css, at(value))]
    if span:
        low, high = at(span[0]), at(span[1])
        pieces.append(Markup('<path class="whisker" d="M{0} 5H{1}M{0} 3V7M{1} 3V7"/>').format(low, high))
    if mark is not None:
        pieces.append(Markup('<path class="chance" d="M{0} 0V10"/>').format(at(mark)))
    return _wide(Markup("").join(pieces), label)


def reach(
    low: float, mean: float, high: float, ends: tuple[float, float], mark: float, label: str, *, css: str
) -> Markup:
    """Draw a whisker from `low` to `high`, a block at `mean`, a tick at `mark`; `ends` are the values at the box's sides.

    For numbers whose zero means nothing, where a bar from zero would show nothing.
    """

    def at(number: float) -> str:
        return _short(100 * (number - ends[0]) / (ends[1] - ends[0]) if ends[1] > ends[0] else 50.0)

    pieces = [
        Markup('<path class="whisker" d="M{0} 5H{1}M{0} 3V7M{1} 3V7"/>').format(at(low), at(high)),
        Markup('<path class="chance" d="M{0} 0V10"/>').format(at(mark)),
        Markup('<rect class="{}" x="{}" y="1" width="1.6" height="8"/>').format(css, _short(float(at(mean)) - 0.8)),
    ]
    return _wide(Markup("").join(pieces), label)


def line(points: Sequence[tuple[float, float]], label: str) -> Markup:
    """Draw y over x, thin as measured and bold as a moving mean; the y axis spans the values, without their worst 1 %."""
    points = [(x, y) for x, y in points if math.isfinite(x) and math.isfinite(y)]
    if not points:
        return Markup("")
    drawn = _thinned(points)
    values = sorted(y for _, y in drawn)
    low, high = values[0], values[min(len(values) - 1, math.ceil(0.99 * len(values)))]
    if high - low < 1e-9 * max(1.0, abs(high)):
        low, high = low - 0.5, high + 0.5
    ticks = ticks_between(low, high)
    low, high = min(low, ticks[0]), max(high, ticks[-1])
    first, last = drawn[0][0], max(drawn[-1][0], drawn[0][0] + 1)

    def across(x: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * (x - first) / (last - first)

    def down(y: float) -> float:
        return TOP + (HEIGHT - TOP - BOTTOM) * (1 - (min(y, high) - low) / (high - low))

    pieces = []
    for tick in ticks:
        y = _short(down(tick))
        pieces.append(Markup('<path class="grid" d="M{} {}H{}"/>').format(LEFT, y, WIDTH - RIGHT))
        pieces.append(Markup('<text class="tick end" x="{}" y="{}">{:g}</text>').format(LEFT - 5, y, tick))
    for tick in ticks_between(first, last, 5):
        pieces.append(
            Markup('<text class="tick mid" x="{}" y="{}">{:g}</text>').format(_short(across(tick)), HEIGHT - 8, tick)
        )
    for css, path in (("raw", drawn), ("mean", _smoothed(drawn))):
        d = "M" + "L".join(f"{_short(across(x))} {_short(down(y))}" for x, y in path)
        pieces.append(Markup('<path class="{}" d="{}"/>').format(css, d))
    return Markup('<svg class="line" viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>').format(
        WIDTH, HEIGHT, label, Markup("").join(pieces)
    )


def ticks_between(low: float, high: float, about: int = 4) -> list[float]:
    """Choose round numbers (1, 2 or 5 times a power of ten apart) inside [low, high]; at least one."""
    step = 10 ** math.floor(math.log10((high - low) / about))
    step *= next((factor for factor in (1, 2, 5) if (high - low) / (step * factor) <= about), 10)
    first = math.ceil(low / step - 1e-9)
    found = []
    while first * step <= high + 1e-9 * step:
        found.append(float(f"{first * step:.10g}"))
        first += 1
    return found or [float(f"{low:.3g}")]


def _thinned(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Reduce to at most `MOST_POINTS`, each the mean of its neighbours, so that nothing is dropped by chance."""
    size = math.ceil(len(points) / MOST_POINTS)
    groups = [points[start : start + size] for start in range(0, len(points), size)]
    return [(group[-1][0], math.fsum(y for _, y in group) / len(group)) for group in groups]


def _smoothed(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    reach = max(1, len(points) // 30)
    windows = [points[max(0, i - reach) : i + reach + 1] for i in range(len(points))]
    return [(x, math.fsum(y for _, y in window) / len(window)) for (x, _), window in zip(points, windows, strict=True)]


def _wide(content: Markup, label: str) -> Markup:
    return Markup(
        '<svg class="bar" viewBox="0 0 100 10" preserveAspectRatio="none" role="img" aria-label="{}">{}</svg>'
    ).format(label, content)


def _short(number: float) -> str:
    return f"{number:.2f}".rstrip("0").rstrip(".")
