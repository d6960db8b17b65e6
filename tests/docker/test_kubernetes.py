"""The job template as Prefect's Kubernetes worker fills it in, and what Kubernetes' own schema says of it."""

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import time
import uuid
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import kubernetes_validate
import pytest
from jsonschema import Draft202012Validator
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.objects import FlowRun
from prefect_kubernetes.settings import KubernetesSettings
from prefect_kubernetes.worker import KubernetesWorkerJobConfiguration
from ruamel.yaml import YAML

from support.command_line import free_port

FOLDER = Path(__file__).parents[2] / "docker" / "kubernetes"
TEMPLATE = json.loads((FOLDER / "job-template.json").read_text())
VERSIONS = ["1.30", "1.34", "1.37"]


def job(**values: Any) -> dict[str, Any]:
    """As the worker would submit it; the client is never asked, for the template names no block."""

    async def filled() -> dict[str, Any]:
        nobody = PrefectClient("http://127.0.0.1:9/api")
        made = await KubernetesWorkerJobConfiguration.from_template_and_values(TEMPLATE, values, client=nobody)
        made.prepare_for_flow_run(FlowRun(id=uuid.uuid4(), flow_id=uuid.uuid4(), name="brave-otter"))
        return json.loads(json.dumps(made.job_manifest))

    return asyncio.run(filled())


def documents() -> list[dict[str, Any]]:
    return list(YAML(typ="safe", pure=True).load_all((FOLDER / "worker.yaml").read_text()))


def env(container: dict[str, Any]) -> dict[str, Any]:
    return {each["name"]: each.get("value", each.get("valueFrom")) for each in container["env"]}


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("kind", ["cpu", "captions", "images", "encoder"])
def test_kubernetes_takes_the_job_of_every_kind(kind, version):
    kubernetes_validate.validate(job(kind=kind, gpus=0 if kind == "cpu" else 1), version, strict=True)


@pytest.mark.parametrize("version", VERSIONS)
def test_kubernetes_takes_the_worker(version):
    assert [each["kind"] for each in documents()].count("PersistentVolumeClaim") == 2
    for each in documents():
        kubernetes_validate.validate(each, version, strict=True)


def test_a_job_gets_the_image_the_gpus_and_the_volumes_of_its_kind():
    pod = job(kind="captions", gpus=2, registry="images.lab.example/vision")["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert container["image"] == "images.lab.example/vision/synclr-captions:0.1.0"
    assert container["resources"]["limits"]["nvidia.com/gpu"] == 2
    mounts = {mount["mountPath"]: mount["name"] for mount in container["volumeMounts"]}
    claims = {volume["name"]: volume.get("persistentVolumeClaim", {}).get("claimName") for volume in pod["volumes"]}
    assert claims[mounts["/data/shards"]] == "synclr-shards" and claims[mounts["/data/models"]] == "synclr-models"
    assert {each["metadata"]["name"] for each in documents()} >= {"synclr-shards", "synclr-models"}


def test_nobody_is_root_and_nothing_but_volumes_can_be_written():
    pods = [job()["spec"]["template"]["spec"]]
    pods += [each["spec"]["template"]["spec"] for each in documents() if each["kind"] == "Deployment"]
    for pod in pods:
        assert pod["securityContext"]["runAsNonRoot"] and pod["securityContext"]["runAsUser"] == 10001
        for container in pod["containers"]:
            allowed = container["securityContext"]
            assert allowed["readOnlyRootFilesystem"] and not allowed["allowPrivilegeEscalation"]
            assert allowed["capabilities"] == {"drop": ["ALL"]}


def test_the_worker_refers_jobs_to_the_secret_instead_of_writing_the_password_into_them(monkeypatch):
    (deployment,) = (each for each in documents() if each["kind"] == "Deployment")
    said = env(deployment["spec"]["template"]["spec"]["containers"][0])
    assert said["PREFECT_API_AUTH_STRING"] == {"secretKeyRef": {"name": "synclr", "key": "auth"}}
    for name, value in said.items():
        if isinstance(value, str):
            monkeypatch.setenv(name, value)
    heard = KubernetesSettings().worker
    assert (heard.api_auth_string_secret_name, heard.api_auth_string_secret_key) == ("synclr", "auth")
    known = env(job()["spec"]["template"]["spec"]["containers"][0])
    assert all("secretKeyRef" in known[name] for name in ("HF_TOKEN", "SYNCLR_API_KEY"))


def test_every_variable_of_the_template_is_declared_and_the_defaults_are_their_own_kind():
    used = set(re.findall(r"\{\{ (\w+) \}\}", json.dumps(TEMPLATE["job_configuration"])))
    declared = TEMPLATE["variables"]["properties"]
    assert used == declared.keys()
    for name, schema in declared.items():
        Draft202012Validator.check_schema(schema)
        if "default" in schema:
            Draft202012Validator(schema).validate(schema["default"]), name


def answers(url):
    with suppress(httpx.TransportError):
        return httpx.get(url, timeout=60).is_success


@pytest.mark.long(40)
def test_a_prefect_server_takes_the_pool_and_our_deployments_for_it(tmp_path, tool):
    mine = {"PREFECT_HOME": str(tmp_path), "HOME": str(tmp_path), "SYNCLR_ROOT": "/data/shards"}
    port = free_port()
    server = subprocess.Popen(
        [sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)],
        env=os.environ | mine,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    mine["PREFECT_API_URL"] = f"http://127.0.0.1:{port}/api"
    try:
        until = time.monotonic() + 300
        while not answers(f"{mine['PREFECT_API_URL']}/health"):
            assert server.poll() is None and time.monotonic() < until, "the server did not come up"
            time.sleep(0.5)
        template = "docker/kubernetes/job-template.json"
        create = ["work-pool", "create", "synclr-kubernetes", "--type", "kubernetes", "--base-job-template", template]
        made = tool("prefect", *create, **mine)
        assert made.returncode == 0, made.stdout + made.stderr
        deployed = tool("synclr", "deploy", "--pool", "synclr-kubernetes", "--json", **mine)
        assert deployed.returncode == 0, deployed.stderr
        assert json.loads(deployed.stdout)["pool"] == "synclr-kubernetes"
        for deployment, wanted in {"synclr/captions": ("captions", 1), "synclr/scores": ("cpu", 0)}.items():
            described = tool("prefect", "deployment", "inspect", deployment, "--output", "json", **mine)
            assert json.loads(described.stdout)["job_variables"] == dict(zip(("kind", "gpus"), wanted, strict=True))
    finally:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()
