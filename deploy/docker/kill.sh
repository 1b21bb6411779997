#!/bin/sh
# Kills services of the running composition in the middle of a long first import, one after another, as a crash would
# (SIGKILL to their process; `docker kill` is an operator's stop, after which Docker leaves a container down). Ends with 0
# when each came back by itself and every total agrees with the sales file's own. Needs root and the engine's machine.
#   deploy/docker/kill.sh [SERVICE...]        default: connector-square connector-clover mapping sync-scheduler connector-square
#   DAYS=300 deploy/docker/kill.sh            how much there is to import: days of sales, 38 orders each
set -eu
cd "$(dirname "$0")/../.."
COMPOSE=${COMPOSE:-docker compose}
[ $# -gt 0 ] || set -- connector-square connector-clover mapping sync-scheduler connector-square

count() { # sales lines in mapping's ledger
  $COMPOSE exec -T postgres psql --username postgres --dbname suppli_mapping --tuples-only --no-align \
    --command 'select count(*) from ledger_lines'
}
state() { docker inspect --format "{{.State.$2}}" "$($COMPOSE ps --all --quiet "$1")"; }
touring() { kill -0 "$tour" 2>/dev/null; }

began=$(count)
$COMPOSE --profile tour run --rm --no-deps tour --gateway http://gateway:8080 --kafka kafka:9092 --days "${DAYS:-400}" &
tour=$!
seen=$began
for service; do
  until [ "$(count)" -gt "$((seen + 200))" ]; do # it has moved on since the last kill
    touring || { wait "$tour" || true; echo "the import ended before $service could be killed: give more DAYS" >&2; exit 1; }
  done
  seen=$(count)
  before=$(state "$service" StartedAt)
  kill -9 "$(state "$service" Pid)"
  echo "killed $service with $((seen - began)) lines imported" >&2
  until [ "$(state "$service" StartedAt)" != "$before" ] && [ "$(state "$service" Running)" = true ]; do
    touring || { echo "$service did not come back by itself" >&2; exit 1; }
    sleep 0.2
  done
done
wait "$tour"
echo "all came back; $(($(count) - began)) lines are in the ledger" >&2
