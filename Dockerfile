# pg-payments, as docker-compose.yml runs it: the command, the server, the worker.
#
#   docker build -t pg-payments . && docker run --rm pg-payments pg-payments sql
#
# The base is pinned; to move it, change this line.
FROM python:3.13.7-slim-bookworm

WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY migrations migrations
COPY functions functions
COPY policies policies
COPY pg_payments pg_payments
RUN pip install --no-cache-dir '.[dashboard]'

COPY docs/examples /examples
WORKDIR /
USER nobody
EXPOSE 8000
CMD ["pg-payments", "serve", "--host", "0.0.0.0", "--with-worker"]
