#!/bin/sh
# Builds the images, starts docker-compose.yml and leads the demo's tour through it. Ends with 0 when every total
# agrees with the sales file's own, added up by other code; what was started stays up (`docker compose down` ends it).
# When it fails, it says what every container is doing and what those that are not well said last.
#   COMPOSE="docker-compose" deploy/docker/check.sh     where Compose is a program of its own
#   PATIENCE=3600 deploy/docker/check.sh                seconds until everything must be ready (default 1200)
set -eu
cd "$(dirname "$0")/../.."
COMPOSE=${COMPOSE:-docker compose}

explain() {
  code=$?
  [ $code -eq 0 ] && return
  {
    $COMPOSE ps --all || true
    for container in $($COMPOSE ps --all --quiet); do
      docker inspect --format '{{.Name}} {{.State.Status}} {{.State.ExitCode}} {{with .State.Health}}{{.Status}}{{end}}' "$container"
    done | grep -v -e 'running 0 healthy' -e 'exited 0' | while read -r name state; do
      echo "== $name: $state"; docker logs --tail 15 "${name#/}" 2>&1 || true
    done
  } >&2
}
trap explain EXIT

python3 deploy/docker/prepare.py
# Image after image: the first makes the layers that all share, where side by side each would make them for itself.
COMPOSE_PARALLEL_LIMIT=1 $COMPOSE --profile tour build --quiet
$COMPOSE up --detach --no-build --wait --wait-timeout "${PATIENCE:-1200}"
$COMPOSE --profile tour run --rm --no-deps tour # without running the steps again
