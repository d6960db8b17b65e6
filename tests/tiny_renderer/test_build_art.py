"""Sheets: they are of the pinned packages, and a package with another digest is refused."""

import json
from pathlib import Path

import pytest

from data_specs.errors import ContractError
from tiny_renderer.build_art import WORLD, fetch

SOURCES = json.loads((WORLD / "sources.json").read_text())["styles"]


def test_every_sheet_names_the_package_that_is_pinned_for_it_and_its_licence() -> None:
    credited = (WORLD / "CREDITS.md").read_text()
    assert {source["split"] for source in SOURCES.values()} == {"training", "evaluation"}
    for style, source in SOURCES.items():
        sheet = json.loads((WORLD / source["split"] / f"{style}.json").read_text())
        assert sheet["package"] == f"{source['package']}@{source['version']}" and source["integrity"].startswith(
            "sha512-"
        )
        assert (WORLD / "licences" / f"{sheet['licence']}.txt").exists() and source["package"] in credited


@pytest.mark.parametrize("style", SOURCES)
def test_a_package_with_another_digest_is_refused(style: str, tmp_path: Path) -> None:
    source = SOURCES[style]
    name = source["package"].removeprefix("@").replace("/", "-")
    (tmp_path / f"{name}-{source['version']}.tgz").write_bytes(b"something else")
    with pytest.raises(ContractError, match="pins sha512-"):
        fetch(source["package"], source["version"], source["integrity"], tmp_path)
