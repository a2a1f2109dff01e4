# hstflow as an image: `make image`. Nothing is fetched when it runs.
#
#   docker build -t hstflow .
#   docker build -t hstflow --build-arg HSTCAL=conda --build-arg EXTRAS=s3,postgres,cos,drizzle .
#   docker run --rm --user "$(id -u):$(id -g)" -v "$PWD:/data" hstflow process j8bt05njq
#
# HSTCAL=conda brings calacs.e, calwf3.e and cs0.e of conda-forge into /opt/hstcal/bin, which is
# last on PATH. EXTRAS are those of pyproject.toml. Other registries: the four images are arguments.
ARG PYTHON_IMAGE=docker.io/library/python:3.11-slim-bookworm
ARG NODE_IMAGE=docker.io/library/node:22-bookworm-slim
ARG CONDA_IMAGE=docker.io/condaforge/miniforge3:25.3.1-0
ARG HSTCAL=none

FROM ${NODE_IMAGE} AS node

# The wheel, with htmx: npm brings it, its checksum is in deployments/dashboard/htmx.py.
FROM ${PYTHON_IMAGE} AS wheel
COPY --from=node /usr/local/bin/node /usr/local/bin/node
COPY --from=node /usr/local/lib/node_modules/npm /usr/local/lib/node_modules/npm
RUN ln -s ../lib/node_modules/npm/bin/npm-cli.js /usr/local/bin/npm
WORKDIR /src
COPY . .
RUN python -m deployments.dashboard.htmx
RUN python -m pip wheel --no-cache-dir --no-deps --wheel-dir /wheels .

# The environment, with the versions that were tested.
FROM ${PYTHON_IMAGE} AS environment
ARG EXTRAS=s3,postgres
COPY constraints.txt /wheels/
COPY --from=wheel /wheels /wheels
RUN python -m venv /opt/hstflow
RUN /opt/hstflow/bin/python -m pip install --no-cache-dir --disable-pip-version-check \
      -c /wheels/constraints.txt "$(ls /wheels/hstflow-*.whl)[${EXTRAS}]" \
 && /opt/hstflow/bin/python -m pip check --disable-pip-version-check

FROM ${CONDA_IMAGE} AS hstcal-conda
ARG HSTCAL_VERSION=">=3"
RUN mamba create --yes --quiet --prefix /opt/hstcal --channel conda-forge --override-channels \
      "hstcal${HSTCAL_VERSION}" \
 && mamba clean --all --yes --quiet \
 && test -x /opt/hstcal/bin/calacs.e

FROM ${PYTHON_IMAGE} AS hstcal-none
RUN mkdir -p /opt/hstcal/bin

FROM hstcal-${HSTCAL} AS hstcal

FROM ${PYTHON_IMAGE} AS image
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="hstflow" \
      org.opencontainers.image.description="Calibrate Hubble data, one dataset or a campaign" \
      org.opencontainers.image.licenses="BSD-3-Clause" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
# tini passes signals on, and reaps what a killed program leaves to it.
RUN apt-get update \
 && apt-get install --yes --no-install-recommends tini \
 && rm -rf /var/lib/apt/lists/*
COPY --from=hstcal /opt/hstcal /opt/hstcal
COPY --from=environment /opt/hstflow /opt/hstflow
# Whoever calls may have any number: what is written lies in folders that all may write to.
RUN groupadd --gid 10001 hstflow \
 && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /home/hstflow hstflow \
 && mkdir -p /home/hstflow /cache /work /data \
 && chmod 1777 /home/hstflow /cache /work /data
ENV PATH=/opt/hstflow/bin:/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin:/opt/hstcal/bin \
    HOME=/home/hstflow \
    USER=hstflow \
    XDG_CACHE_HOME=/cache \
    CRDS_PATH=/cache/crds \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    PREFECT_SERVER_ANALYTICS_ENABLED=false \
    HSTFLOW_ROLE=command
USER 10001:10001
WORKDIR /data
# Which program runs here, compose.yaml says: server, worker, dask-scheduler, dask-worker, dashboard.
HEALTHCHECK --interval=30s --timeout=10s --start-period=120s --retries=3 \
  CMD hstflow doctor --role "${HSTFLOW_ROLE}"
ENTRYPOINT ["tini", "--", "hstflow"]
CMD ["--help"]
