"""Addresses of the pages, counted from the front page; `synclr site --write` gives its files the same names."""

from urllib.parse import quote

from data_specs.shard import ShardAddress

FRONT = "index.html"


def _path(*parts: str) -> str:
    return "/".join(quote(part, safe="") for part in parts)


def run_page(run: str) -> str:
    return _path("runs", run, "index.html")


def part_page(run: str, part: str) -> str:
    """`part` is `scores`, `encoder`, `check` or `report`."""
    return _path("runs", run, f"{part}.html")


def stage_page(run: str, stage: str, page: int = 1) -> str:
    return _path("runs", run, stage, "index.html" if page == 1 else f"page-{page}.html")


def shard_page(run: str, shard: ShardAddress, page: int = 1) -> str:
    return _path("runs", run, shard.stage, f"{shard.stem}.html" if page == 1 else f"{shard.stem}-page-{page}.html")


def sample_page(run: str, shard: int, caption: str) -> str:
    return _path("runs", run, "samples", f"{shard:06d}", f"{caption}.html")


def image_file(run: str, shard: int, caption: str, copy: int, form: str) -> str:
    return _path("runs", run, "samples", f"{shard:06d}", f"{caption}-{copy}.{form}")


def choose_page(run: str) -> str:
    return _path("compare", f"{run}.html")


def compare_page(left: str, right: str) -> str:
    return _path("compare", left, f"{right}.html")
