# A server of Neocog's networks on CPUs.
#
#   docker build -t neocog .
#   docker run --rm -p 8000:8000 -v "$PWD/runs/digits:/models/digits:ro" -e NEOCOG_API_KEY neocog /models/digits
#
# The arguments are those of `neocog serve`. Mount a folder rather than a file: a bundle that is replaced in a mounted folder is
# loaded again, while a mounted file keeps its first content.

FROM python:3.13-slim AS build
WORKDIR /build
RUN python -m venv /opt/neocog
ENV PATH=/opt/neocog/bin:$PATH PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
COPY constraints.txt .
# The CPU build of torch, before anything that asks for another.
RUN pip install -c constraints.txt --index-url https://download.pytorch.org/whl/cpu --extra-index-url https://pypi.org/simple torch
COPY pyproject.toml README.md LICENSE ./
COPY src src
# Engines read networks as ONNX, so that onnxruntime and openvino need onnx and onnxscript beside them.
RUN pip install -c constraints.txt ".[serve]" onnx onnxscript onnxruntime openvino

FROM python:3.13-slim
# libgomp: OpenMP, which torch computes with.
RUN apt-get update && apt-get install -y --no-install-recommends libgomp1 && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 10001 --create-home --shell /usr/sbin/nologin neocog
COPY --from=build /opt/neocog /opt/neocog
ENV PATH=/opt/neocog/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
USER neocog
WORKDIR /home/neocog
EXPOSE 8000
STOPSIGNAL SIGTERM
# Ready means that each model's golden sample has just passed; models may take a while to load.
HEALTHCHECK --interval=5s --timeout=3s --start-period=120s --retries=3 \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/v2/health/ready', timeout=2)"]
ENTRYPOINT ["neocog", "serve", "--host", "0.0.0.0", "--port", "8000"]
CMD ["/models"]
