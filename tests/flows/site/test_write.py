"""Written as files, a site is the pages that it serves: whole, linked among themselves, and no more than was asked for."""

from pathlib import Path

import pytest
from starlette.testclient import TestClient

from data_specs.errors import SpecError
from flows.site.app import site_app
from flows.site.site import Site
from flows.site.write import links, write_site
from support.made_up_run import make_run


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    root = str(tmp_path_factory.mktemp("root"))
    make_run(root, "first")
    make_run(root, "second", until="captions", captions={"max_words": 41})
    return Site(root, shards=2, captions=5)


@pytest.fixture(scope="module")
def folder(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("written") / "pages"
    written = write_site(site, str(folder))
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert written["pages"] + written["files"] == len(files)
    assert written["bytes"] == sum(path.stat().st_size for path in files) and written["folder"] == str(folder)
    return folder


def test_each_file_is_the_page_of_its_address(site: Site, folder: Path) -> None:
    with TestClient(site_app(site), "http://127.0.0.1") as client:
        for path in folder.rglob("*.*"):
            if path.is_file():
                assert client.get(f"/{path.relative_to(folder)}").content == path.read_bytes(), path


def test_each_link_of_a_file_leads_to_a_file(folder: Path) -> None:
    pages = list(folder.rglob("*.html"))
    for page in pages:
        for address in links(str(page.relative_to(folder)), page.read_text()):
            assert (folder / address).is_file(), (page, address)
    assert len(pages) > 20


def test_only_so_many_shards_and_captions_have_pages(folder: Path) -> None:
    run = folder / "runs" / "first"
    assert sorted(path.name for path in (run / "images").iterdir()) == [
        *("images-000000.html", "images-000002.html", "index.html")
    ]
    assert len(list((run / "samples" / "000000").glob("*.html"))) == 5
    assert "The first 5 of 12 have pages here." in (run / "images" / "images-000000.html").read_text()


def test_nothing_is_written_over(site: Site, folder: Path) -> None:
    with pytest.raises(SpecError, match="is not empty, and nothing is ever written over"):
        write_site(site, str(folder))
