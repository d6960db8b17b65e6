"""The compose files, by compose's own parser: they start, they hide, they ask for secrets and hold none."""

import json
import re
from pathlib import Path

import pytest

from flows.server.settings import DEFAULTS

PROJECT = Path(__file__).parents[2]
FILES = {
    "gpu": ["compose.yaml"],
    "cpu": ["compose.yaml", "compose.cpu.yaml"],
    "vllm": ["compose.yaml", "compose.vllm.yaml"],
}
SECRETS = {
    "SYNCLR_AUTH": "ada:of-the-test",
    "SYNCLR_DATABASE_PASSWORD": "of-the-test",
    "SYNCLR_VLLM_MODEL": "some/model",
    "SYNCLR_VLLM_REVISION": "abc",
    "SYNCLR_VLLM_KEY": "of-the-test",
}
GPU_WORKERS = {"captions", "images", "encoder"}


@pytest.fixture
def composed(tool):
    def read(variant: str) -> dict:
        chosen = [part for name in FILES[variant] for part in ("--file", f"docker/{name}")]
        read = tool("docker-compose", *chosen, "config", "--format", "json", **SECRETS)
        assert read.returncode == 0 and not read.stderr, read.stderr
        return json.loads(read.stdout)

    return read


@pytest.mark.parametrize("variant", FILES)
def test_compose_reads_it_without_a_word(variant, composed):
    assert {"database", "server", "deploy", "cpu"} <= composed(variant)["services"].keys()


def test_yamllint_finds_nothing(tool):
    rules = (
        "{extends: default, rules: {line-length: {max: 140}, document-start: disable, commas: {max-spaces-after: 1}}}"
    )
    linted = tool("yamllint", "--strict", "--config-data", rules, "docker")
    assert (linted.returncode, linted.stdout) == (0, "")


@pytest.mark.parametrize("variant", FILES)
def test_only_loopback_is_published(variant, composed):
    published = [port for service in composed(variant)["services"].values() for port in service.get("ports", [])]
    assert published and all(port["host_ip"] == "127.0.0.1" for port in published)
    assert all("network_mode" not in service for service in composed(variant)["services"].values())


@pytest.mark.parametrize("missing", ["SYNCLR_AUTH", "SYNCLR_DATABASE_PASSWORD"])
def test_a_secret_that_is_not_set_is_asked_for_by_name(missing, tool):
    known = {name: value for name, value in SECRETS.items() if name != missing}
    refused = tool("docker-compose", "--file", "docker/compose.yaml", "config", **known)
    assert refused.returncode and f"set {missing}" in refused.stderr and "docker/.env" in refused.stderr


def test_no_file_holds_a_secret():
    secret = re.compile(r"(?i)(password|auth|auth_string|key|token)\w*\s*[:=]\s*(?P<value>\S+)")
    for path in [*(PROJECT / "docker").rglob("*.yaml"), PROJECT / "docker" / ".env.example"]:
        for line in path.read_text().splitlines():
            found = None if line.lstrip().startswith(("#", "-")) else secret.search(line)
            assert not found or found["value"].startswith(("$", "&", "*", "{", "auth}")), f"{path.name}: {line}"


def test_the_example_names_every_variable_that_the_files_ask_for():
    asked = set()
    for path in (PROJECT / "docker").glob("*.yaml"):
        asked |= set(re.findall(r"\$\{(\w+)", path.read_text()))
    named = dict(re.findall(r"(?m)^(\w+)=(.*)$", (PROJECT / "docker" / ".env.example").read_text()))
    assert asked == named.keys()
    assert not any(named[secret] for secret in SECRETS)


def test_the_server_asks_for_a_password_and_sends_no_word_out(composed):
    services = composed("gpu")["services"]
    server = services["server"]["environment"]
    assert server["PREFECT_SERVER_API_AUTH_STRING"] == SECRETS["SYNCLR_AUTH"]
    for name, value in DEFAULTS.items():
        if name.startswith("PREFECT_SERVER_") and "EPHEMERAL" not in name:
            assert server[name] == value, "as `make ui` sets it"
    assert server["PREFECT_SERVER_DATABASE_DRIVER"] == "postgresql+asyncpg"
    for name in GPU_WORKERS | {"cpu", "deploy"}:
        assert services[name]["environment"]["PREFECT_API_AUTH_STRING"] == SECRETS["SYNCLR_AUTH"]


def test_nothing_starts_before_what_it_needs_is_well(composed):
    services = composed("gpu")["services"]

    def waits(name: str) -> dict[str, str]:
        return {other: how["condition"] for other, how in services[name]["depends_on"].items()}

    assert waits("server") == {"database": "service_healthy"}
    assert waits("deploy") == {"server": "service_healthy"}
    for name in GPU_WORKERS | {"cpu"}:
        assert waits(name) == {"deploy": "service_completed_successfully"}
        assert services[name]["restart"] == "unless-stopped"
    assert services["deploy"]["restart"] == "no"
    assert all("healthcheck" in services[name] for name in ("database", "server"))


def test_nobody_may_more_than_the_work_needs(composed):
    for name, service in composed("vllm")["services"].items():
        assert "no-new-privileges:true" in service["security_opt"], name
        assert "privileged" not in service and (name == "database" or service["cap_drop"] == ["ALL"]), name
    assert composed("gpu")["networks"]["database"]["internal"]
    assert list(composed("gpu")["services"]["cpu"]["networks"]) == ["synclr"]


def test_workers_share_the_volumes_of_shards_and_models_and_gpu_kinds_hold_a_gpu(composed):
    services = composed("gpu")["services"]
    for name in GPU_WORKERS | {"cpu"}:
        assert {mount["target"] for mount in services[name]["volumes"]} == {"/data/shards", "/data/models"}
    for name in GPU_WORKERS:
        (device,) = services[name]["deploy"]["resources"]["reservations"]["devices"]
        assert device["capabilities"] == ["gpu"] and device["device_ids"] == ["0"]


def test_the_vllm_server_serves_what_a_recipe_can_pin_to_the_workers_that_ask_it(composed):
    services = composed("vllm")["services"]
    server = services["vllm"]
    command, port = server["command"], server["ports"][0]["target"]
    assert command[:3] == ["vllm", "serve", "some/model"] and command[command.index("--revision") + 1] == "abc"
    for name in ("captions", "cpu"):
        worker = services[name]
        assert worker["environment"]["SYNCLR_API_SERVER"] == f"http://vllm:{port}/v1"
        assert worker["environment"]["SYNCLR_API_KEY"] == server["environment"]["VLLM_API_KEY"]
        assert worker["environment"]["PREFECT_API_URL"] and set(server["networks"]) <= set(worker["networks"])
    assert not any(
        "SYNCLR_API_KEY" in service.get("environment", {}) for service in composed("gpu")["services"].values()
    )


def test_without_a_gpu_one_worker_takes_every_queue(composed):
    services = composed("cpu")["services"]
    assert not GPU_WORKERS & services.keys() and not any("deploy" in service for service in services.values())
    assert "--work-queue" not in services["cpu"]["command"] and "--with-healthcheck" in services["cpu"]["command"]
