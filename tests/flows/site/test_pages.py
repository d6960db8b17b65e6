"""The pages over a root of runs: every link answers, nothing outside is asked, nothing escapes, nothing damaged is a 500."""

import re
import shlex
from collections.abc import Iterator
from html import unescape
from pathlib import Path

import httpx
import pytest
from starlette.testclient import TestClient
from typer.main import get_command

from flows.cli.app import app as commands
from flows.report import write_report
from flows.runs.lineages import rows
from flows.runs.plan import RunPlan
from flows.site.addresses import part_page, run_page, sample_page, shard_page, stage_page
from flows.site.app import site_app
from flows.site.site import Site
from flows.site.write import links
from support.made_up_run import make_run
from support.shard_files import file_of
from support.site_root import SCRIPT, SMALL, WAITS, WHY, commands_of, make_root
from tasks.shards import require_sealed

PREFECT = "http://127.0.0.1:4200"
HERE = "http://127.0.0.1"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("root")


@pytest.fixture(scope="module")
def runs(root: Path) -> dict[str, RunPlan]:
    found = make_root(str(root))
    write_report(found["first"])
    return found


@pytest.fixture(scope="module")
def client(root: Path, runs: dict[str, RunPlan]) -> Iterator[TestClient]:
    with TestClient(site_app(Site(str(root), PREFECT)), HERE) as client:
        yield client


@pytest.fixture(scope="module")
def answers(client: TestClient) -> dict[str, httpx.Response]:
    """Every address that links lead to from the front page, with its answer."""
    found, waiting = dict[str, httpx.Response](), ["index.html"]
    while waiting:
        address = waiting.pop()
        if address not in found:
            found[address] = client.get(f"/{address}")
            if is_page(found[address]):
                waiting += links(address, found[address].text)
    return found


def is_page(answer: httpx.Response) -> bool:
    return answer.headers["content-type"].startswith("text/html")


def click(client: TestClient, address: str, leads_to: str) -> str:
    """The address of the first link of a page that leads to such an address."""
    found = [each for each in links(address, client.get(f"/{address}").text) if re.fullmatch(leads_to, each)]
    assert found, f"{address} has no link to {leads_to}"
    return found[0]


@pytest.mark.slow(20)
def test_every_link_on_every_page_answers(runs: dict[str, RunPlan], answers: dict[str, httpx.Response]) -> None:
    refused = {address: answer.status_code for address, answer in answers.items() if answer.status_code != 200}
    broken = runs["broken"].stages["images"].shard(2)
    assert refused == {}
    assert shard_page("broken", broken) in answers and len(answers) > 250
    assert {answer.headers["content-type"].partition(";")[0] for answer in answers.values()} == {
        *("text/html", "text/css", "text/javascript", "image/png")
    }


def test_pages_only_read(root: Path, client: TestClient) -> None:
    before = state_of(root)
    for address in ("", "runs/first/index.html", "runs/broken/check.html", "runs/first/images/index.html"):
        assert client.get(f"/{address}").status_code == 200
        assert client.post(f"/{address}").status_code == 405
    assert state_of(root) == before


def state_of(root: Path) -> dict[Path, tuple[int, int]]:
    return {path: (path.stat().st_mtime_ns, path.stat().st_size) for path in root.rglob("*")}


@pytest.mark.slow(20)
def test_pages_ask_nothing_of_the_outside(answers: dict[str, httpx.Response]) -> None:
    for address, answer in answers.items():
        if is_page(answer):
            text = re.sub(r"data:image/[a-z]+;base64,[^\"]*", "", answer.text)
            named = set(re.findall(r"(?:\w+:)?//[^\s\"'<>]+", unescape(text)))
            assert all(each.startswith(f"{PREFECT}/runs/flow-run/") for each in named), (address, named)
            loaded = re.findall(r"\b(?:src|srcset|action|poster|data)=\"([^\"]*)", answer.text)
            assert not [each for each in loaded if not each.startswith(("data:image/", "../", "runs/", "refresh.js"))]
            assert answer.headers["content-security-policy"].startswith("default-src 'none'")
    assert "url(" not in answers["style.css"].text and "@import" not in answers["style.css"].text


def test_from_the_front_page_to_an_image_its_prompt_its_encoder_and_its_scores_are_five_clicks(
    client: TestClient,
) -> None:
    run = click(client, "index.html", "runs/first/index.html")
    shard = click(client, run, r"runs/first/images/images-000000\.html")
    sample = click(client, shard, r"runs/first/samples/.*")
    encoder = click(client, sample, r"runs/first/encoder\.html")
    scores = click(client, encoder, r"runs/first/scores\.html")
    text = client.get(f"/{sample}").text
    for word in ("language model", "=&gt;", "guidance", "attempts", "<code>", "Scores of first", "styles (ridge)"):
        assert word in text
    assert "95 % interval" in client.get(f"/{scores}").text


def test_and_back_from_a_score_to_its_images_their_prompt_and_seed_are_at_most_five(
    client: TestClient, runs: dict[str, RunPlan]
) -> None:
    scores = click(client, "index.html", r"runs/first/scores\.html")
    encoder = click(client, scores, r"runs/first/encoder\.html")
    shard = click(client, encoder, r"runs/first/images/images-\d+\.html")
    sample = click(client, shard, r"runs/first/samples/.*\.html")
    row = rows(runs["first"].stages["images"].shard(0))[0]
    assert sample == sample_page("first", 0, row["id"])
    text = client.get(f"/{sample}").text
    assert str(row["seed"]) in text and all(str(image["seed"]) in text for image in row["images"])
    assert row["text"] in unescape(text) and row["rendering"]["model"]["revision"] in text


def test_a_run_that_waits_says_for_which_and_leads_there(client: TestClient) -> None:
    assert WAITS in client.get("/").text
    page = click(client, "index.html", r"runs/waiting/index\.html")
    assert f"images {WAITS}" in client.get(f"/{page}").text
    assert "first" in client.get(f"/{click(client, page, r'runs/first/index.html')}").text


def test_from_a_failed_run_its_command_is_one_click_away(client: TestClient, runs: dict[str, RunPlan]) -> None:
    front = unescape(client.get("/").text)
    assert "failed in images" in front and "was written by another version" in front
    text = unescape(client.get(f"/{click(client, 'index.html', 'runs/broken/index.html')}").text)
    assert WHY in text and "tar has 2,000 bytes" in text and f"{PREFECT}/runs/flow-run/2222" in text
    aside, again = commands_of(text)
    assert aside == f"synclr repair broken --shard captions-000001 --root {runs['broken'].root}"
    assert "synclr run tiny --name broken" in again and "--until images" in again and "captions.max_words=43" in again
    arguments = shlex.split(again)[2:]
    assert get_command(commands).commands["run"].make_context("run", arguments).params["name"] == "broken"


@pytest.mark.parametrize(
    ("stage", "index", "says", "command"),
    [
        ("captions", 1, "tar has 2,000 bytes", "synclr repair broken --shard captions-000001"),
        ("images", 2, "not as sealed", "synclr repair broken --shard images-000002"),
        ("images", 3, "This shard is not there", "synclr run tiny --name broken"),
        ("encoder", 0, "This shard is not there", "synclr run tiny --name broken"),
    ],
)
def test_a_damaged_or_missing_shard_is_a_page_with_its_command(
    client: TestClient, runs: dict[str, RunPlan], stage: str, index: int, says: str, command: str
) -> None:
    answer = client.get(f"/{shard_page('broken', runs['broken'].stages[stage].shard(index))}")
    text = unescape(answer.text)
    assert answer.status_code == 200 and says in text
    lines = commands_of(text)
    assert lines[0].startswith(command)
    assert ("--until encoder" in lines[-1]) == (stage == "encoder")


def test_a_damaged_shard_that_other_runs_share_names_them(tmp_path: Path) -> None:
    for name, scale in (("first", 2.5), ("second", 5.0)):
        plan = make_run(str(tmp_path), name, until="images", captions=SMALL, images={"guidance_scale": scale})
    file_of(plan.stages["captions"].shard(0), "tar").unlink()
    with TestClient(site_app(Site(str(tmp_path))), HERE) as client:
        page = shard_page("second", plan.stages["captions"].shard(0))
        assert "whole for all" in client.get(f"/{page}").text
        assert click(client, page, r"runs/first/index\.html") == "runs/first/index.html"


def test_every_byte_is_read_again_on_a_page_of_its_own(client: TestClient) -> None:
    text = unescape(client.get("/runs/broken/check.html").text)
    assert "<b>2</b> are damaged" in text
    assert all(re.search(rf"{stem}\.\w{{12}}\.tar", text) for stem in ("images-000002", "captions-000001"))
    assert commands_of(text)[0].startswith("synclr repair broken --root")
    assert "<b>No</b> are damaged" in client.get("/runs/first/check.html").text


@pytest.mark.parametrize("stage", ["captions", "images", "scores", "encoder", "selection"])
def test_whatever_file_is_damaged_every_page_answers(tmp_path: Path, stage: str) -> None:
    plan = make_run(str(tmp_path), "first", captions=SMALL)
    shard, caption = plan.stages[stage].shard(0), rows(plan.stages["captions"].shard(1))[0]["id"]
    own = shard_page("first", shard)
    around = ("", run_page("first"), stage_page("first", stage), sample_page("first", 1, caption))
    parts = [part_page("first", part) for part in ("scores", "encoder", "check")]
    with TestClient(site_app(Site(str(tmp_path))), HERE) as client:
        for suffix in (*require_sealed(shard).files, "json", "made.json"):
            file = file_of(shard, suffix)
            before = file.read_bytes()
            file.write_bytes(b"\xff{ no such thing" * 9)
            for address in (*around, *parts, own):
                assert client.get(f"/{address}").status_code == 200, (suffix, address)
            page = client.get(f"/{own}").text
            assert suffix == "made.json" or (file.name in page and "What to do" in page)
            file.write_bytes(before)


@pytest.mark.slow(20)
def test_what_a_language_model_writes_is_text(client: TestClient, answers: dict[str, httpx.Response]) -> None:
    shown = [answer.text for address, answer in answers.items() if "scripted" in address and is_page(answer)]
    assert sum("&lt;script&gt;alert(" in text for text in shown) > 12
    assert not [text for text in shown if SCRIPT in text]
    scripts = {
        tag for answer in answers.values() if is_page(answer) for tag in re.findall(r"<script[^>]*>", answer.text)
    }
    assert all(re.fullmatch(r'<script src="(\.\./)*refresh\.js" defer>', tag) for tag in scripts)


@pytest.mark.parametrize(
    "address",
    [
        *(
            "runs/..%2f..%2fsecret/index.html",
            "runs/%2e%2e/index.html",
            "runs/nobody/index.html",
            "runs/first/../../x.html",
        ),
        *("runs/first/images/captions-000000.html", "runs/first/images/images-000099.html", "runs/first/images/x.html"),
        *(
            "runs/first/locks/index.html",
            "runs/first/images/page-2.html",
            "runs/first/images/images-000000-page-9.html",
        ),
        *("runs/first/samples/0/..%2f..%2fplan.html", "runs/first/samples/9/0123456789-0123456789abcdef.html"),
        *(
            "runs/first/samples/0/0123456789-0123456789abcdef.html",
            "runs/first/samples/0/0123456789-0123456789abcdef-0.png",
        ),
        *(
            "runs/..%2f..%2fsecret/report.html",
            "runs/second/report.html",
            "compare/nobody.html",
            "compare/first/..%2fx.html",
        ),
        *("templates/base.html", "..%2fapp.py", "style.css/x", "runs/first/plan.json", "runs/first/%00/index.html"),
    ],
)
def test_an_address_of_nothing_here_is_a_404(root: Path, client: TestClient, address: str) -> None:
    secret = root.parent / "secret"
    secret.mkdir(exist_ok=True)
    for name in ("plan.json", "report.html"):
        (secret / name).write_text("secret")
    answer = client.get(f"/{address}")
    assert answer.status_code == 404 and "secret</" not in answer.text


def test_a_name_that_is_made_to_mean_this_machine_reads_nothing(client: TestClient) -> None:
    assert client.get("/", headers={"host": "elsewhere.example"}).status_code == 400


def test_two_runs_stand_side_by_side_in_two_clicks(client: TestClient) -> None:
    choose = click(client, "index.html", r"compare/second\.html")
    address = click(client, choose, r"compare/first/second\.html")
    text = client.get(f"/{address}").text
    body = re.sub(r"<[^>]+>", " ", unescape(text)).split()
    line = " ".join(body)
    assert "images.guidance_scale 2.5 5.0" in line and "captions the same shards" in line and "+0.0" in line
    assert "captions.total" not in line, "what is the same is left out"


def test_cells_say_who_made_a_shard_and_how_much_was_rejected(client: TestClient) -> None:
    first, second = (unescape(client.get(f"/{run_page(run)}").text) for run in ("first", "second"))
    assert "captions-000000, made here; 3 accepted, 1 rejected (25.0 %)" in first
    assert "captions-000000: made by first; 3 accepted" in second and "images-000000, made here" in second
    assert "cell reused t3" in second
