"""The environment variables a service process gets: addresses as values, secrets as files."""

import os
from dataclasses import dataclass
from pathlib import Path

from suppli_embedded.files import write_private
from suppli_embedded.openbao import OpenBaoServer
from suppli_embedded.postgres import ServiceDatabase

_INHERITED = ("PATH", "PYTHONPATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "VIRTUAL_ENV", "SSL_CERT_FILE")


@dataclass(frozen=True, slots=True)
class SharedAddresses:
    """Where every service finds the broker and the vault."""

    bootstrap_servers: str
    openbao: OpenBaoServer


def prefix(service: str) -> str:
    """Return the prefix of a service's own settings: `SUPPLI_SYNC_SCHEDULER` for `sync-scheduler`."""
    return f"SUPPLI_{service.upper().replace('-', '_')}"


def service_environment(
    service: str,
    *,
    addresses: SharedAddresses,
    database: ServiceDatabase,
    secrets_folder: Path,
    ports: tuple[int, int],
    instance_id: str | None = None,
) -> dict[str, str]:
    """Return the complete environment of a process of `service`, for a start with nothing inherited.

    Writes the database URLs to files of mode 0600 in `secrets_folder`. `ports` are the public and the
    internal one. `instance_id` names the process among its replicas (default: the service's name).
    """
    own = prefix(service)
    environment = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    environment |= {
        "TZ": "UTC",
        "SUPPLI_ENVIRONMENT": "development",
        "SUPPLI_KAFKA_BOOTSTRAP_SERVERS": addresses.bootstrap_servers,
        "SUPPLI_VAULT_URL": addresses.openbao.url,
        "SUPPLI_VAULT_ROLE_ID_FILE": str(addresses.openbao.role_id_file(service)),
        "SUPPLI_VAULT_SECRET_ID_FILE": str(addresses.openbao.secret_id_file(service)),
        f"{own}_HOST": "127.0.0.1",
        f"{own}_PUBLIC_PORT": str(ports[0]),
        f"{own}_INTERNAL_PORT": str(ports[1]),
        f"{own}_INSTANCE_ID": instance_id or service,
    }
    urls = {"DATABASE": database.app_url, "MIGRATION": database.owner_url, "RELAY": database.relay_url}
    for purpose, url in urls.items():
        path = secrets_folder / f"{database.name}-{purpose.lower()}-url"
        write_private(path, url)
        environment[f"{own}_{purpose}_URL_FILE"] = str(path)
    return environment
