"""A root on object storage has the same pages, and they may be written there too."""

import uuid

from flows.site.addresses import shard_page
from flows.site.site import Site
from flows.site.write import links, write_site
from support.made_up_run import make_run
from support.site_root import SMALL
from tasks import storage
from tasks.shards import data_file


def test_a_remote_root_has_pages_that_are_written_to_remote_storage() -> None:
    bucket = f"memory://{uuid.uuid4().hex}"
    plan = make_run(f"{bucket}/root", "first", captions=SMALL)
    tar = data_file(plan.stages["images"].shard(1), "tar")
    storage.remove(tar)
    written = write_site(Site(f"{bucket}/root", shards=2), f"{bucket}/pages")
    page = storage.read_bytes(f"{bucket}/pages/index.html")
    assert written["pages"] > 10 and page and b"first" in page
    grid = (storage.read_bytes(f"{bucket}/pages/runs/first/images/index.html") or b"").decode()
    assert f"images-000001: damaged; {tar.rpartition('/')[2]} is missing" in grid
    shard = shard_page("first", plan.stages["images"].shard(0))
    html = (storage.read_bytes(f"{bucket}/pages/{shard}") or b"").decode()
    assert len([each for each in links(shard, html) if "/samples/" in each]) == 3
    captions = shard_page("first", plan.stages["captions"].shard(0))
    assert storage.read_bytes(f"{bucket}/pages/{captions}")
