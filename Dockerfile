# Two images: the worker (the default) and, with `--target dashboard`, Optuna's dashboard.
#
#     docker build --tag layer-search .
#
# PYTHON_IMAGE takes another base, or the same one pinned by its digest (`...@sha256:...`).
#
# On Linux x86-64 pip's own index holds a torch built for CUDA, which also runs on a CPU and makes a
# large image. TORCH_INDEX takes the URL of an index with another build of the same version:
#
#     docker build --build-arg TORCH_INDEX=URL --tag layer-search .

ARG PYTHON_IMAGE=docker.io/library/python:3.11-slim-bookworm

FROM ${PYTHON_IMAGE} AS base
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONUNBUFFERED=1
# the hub's downloads and results on their way to the store: volumes there inherit this owner
RUN useradd --create-home --uid 1000 search \
    && install -d -o search -g search /home/search/.cache/huggingface /home/search/.local \
        /home/search/.local/state \
    && install -d -m 700 -o search -g search /home/search/.local/state/layer-search
COPY docker/with-secrets /usr/local/bin/
WORKDIR /app
COPY constraints.txt ./


FROM base AS dashboard
ARG DASHBOARD=0.21.0
RUN pip install --constraint constraints.txt \
    "optuna-dashboard==${DASHBOARD}" optuna sqlalchemy 'psycopg[binary]'
USER 1000
WORKDIR /home/search
EXPOSE 8080
ENTRYPOINT ["with-secrets", "optuna-dashboard"]


FROM base AS worker
ARG TORCH_INDEX=""
# without its dependencies: they come from pip's own index below, which then finds torch in place
RUN if [ -n "$TORCH_INDEX" ]; then \
        pip install --no-deps --index-url "$TORCH_INDEX" --constraint constraints.txt torch; \
    fi
# dependencies first: they change less often than the code, and this layer is the slow one
COPY pyproject.toml ./
RUN python -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["project"]["dependencies"], sep="\n")' \
        > requirements.txt \
    && pip install --constraint constraints.txt --requirement requirements.txt
COPY LICENSE README.md ./
COPY search search
COPY evaluators evaluators
COPY storage storage
RUN pip install --no-deps .
USER 1000
WORKDIR /home/search
ENTRYPOINT ["with-secrets", "layer-search"]
CMD ["--help"]
