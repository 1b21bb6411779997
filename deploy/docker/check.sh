#!/bin/sh
# Builds the images, starts docker-compose.yml and leads the demo's tour through it. Ends with 0 when every total
# agrees with the sales file's own, added up by other code; what was started stays up (`docker compose down` ends it).
#   COMPOSE="docker-compose" deploy/docker/check.sh     where Compose is a program of its own
set -eu
cd "$(dirname "$0")/../.."
COMPOSE=${COMPOSE:-docker compose}
python3 deploy/docker/prepare.py
$COMPOSE --profile tour build --quiet
$COMPOSE up --detach --no-build --wait
$COMPOSE run --rm tour
