# The images stage: diffusers on a GPU.
# From the project's folder: docker build -f docker/images.Dockerfile -t synclr-images:0.1.0 .
# Its stage `installed` is that of every GPU kind, word for word: one layer on disk, however many kinds a host runs.

FROM python:3.11.14-slim-bookworm AS installed
ARG LOCK=cuda
# With LOCK=cpu: where torch's CPU builds are published. A GPU's torch comes from PyPI, and would lose against one from there.
ARG PIP_EXTRA_INDEX_URL=
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /opt/synclr
RUN python -m venv .venv && .venv/bin/python -m pip install hatchling==1.28.0 editables==0.5
COPY requirements/${LOCK}.txt requirements/
# --no-deps: the lock is the whole list, and some packages ask for builds that must not come along (requirements/*overrides.txt).
RUN .venv/bin/python -m pip install --no-deps -r requirements/${LOCK}.txt
COPY pyproject.toml README.md LICENSE THIRD_PARTY_NOTICES.md ./
COPY data_specs data_specs
COPY models models
COPY tasks tasks
COPY flows flows
RUN .venv/bin/python -m pip install --no-deps --no-build-isolation --editable .

FROM python:3.11.14-slim-bookworm AS worker
RUN groupadd --gid 10001 synclr && useradd --uid 10001 --gid synclr --create-home synclr \
    && install -d -o synclr -g synclr /data/shards /data/models
COPY --from=installed /opt/synclr /opt/synclr
WORKDIR /opt/synclr
# Outputs and models lie on volumes; no word leaves for anybody's statistics; the health server hears loopback alone.
ENV PATH=/opt/synclr/.venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    SYNCLR_ROOT=/data/shards \
    SYNCLR_CACHE=/data/models \
    HF_HOME=/data/models/hub \
    DO_NOT_TRACK=1 \
    HF_HUB_DISABLE_TELEMETRY=1 \
    PREFECT_SERVER_ANALYTICS_ENABLED=false \
    PREFECT_FLOWS_HEARTBEAT_FREQUENCY=30 \
    PREFECT_RESULTS_DEFAULT_SERIALIZER=json \
    PREFECT_WORKER_WEBSERVER_HOST=127.0.0.1 \
    PREFECT_WORKER_WEBSERVER_PORT=8080
USER 10001:10001
# Healthy is a worker that still asks for work: its own server answers 503 once it has not for a while, and this then fails.
HEALTHCHECK --interval=30s --timeout=10s --start-period=120s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request; urllib.request.urlopen('http://127.0.0.1:' + os.environ['PREFECT_WORKER_WEBSERVER_PORT'] + '/health', timeout=5)"]
# The driver's part comes from the host, through NVIDIA's container toolkit.
ENV NVIDIA_DRIVER_CAPABILITIES=compute,utility
LABEL org.opencontainers.image.title="synclr images worker" \
      org.opencontainers.image.description="images by diffusers on a GPU" \
      org.opencontainers.image.licenses="Apache-2.0"
CMD ["prefect", "worker", "start", "--pool", "synclr", "--type", "process", "--work-queue", "images", "--limit", "1", "--with-healthcheck", "--install-policy", "never"]
