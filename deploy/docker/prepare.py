"""`python3 deploy/docker/prepare.py`: secrets and the vault's configuration, which docker-compose.yml mounts.

Needs Python alone. Writes what is missing and changes nothing that is there: it may run before every start.
The folder (SUPPLI_SECRETS, as for Compose; by default `deploy/docker/secrets`) is for its owner only; the
files in it can be read by the containers' users, who are others.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
from pathlib import Path
from string import Template

ROOT = Path(__file__).resolve().parents[2]
SERVICES = sorted(file.stem for file in (ROOT / "deploy/vault/policies").glob("*.hcl"))
ROLES = {"database": "app", "relay": "relay", "migration": "owner"}
APPLICATIONS = json.loads((ROOT / "deploy/docker/applications.json").read_text())


def prepare(folder: Path) -> list[str]:
    """Fill `folder` and return the names of the files that are new."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)
    return [name for name, content in contents().items() if _write(folder / name, content)]


def contents() -> dict[str, str]:
    """Return every file's content by its name, with fresh secrets."""
    files = {
        "postgres-password": secrets.token_urlsafe(24),
        "openbao-unseal-key": secrets.token_hex(16),  # 32 characters are the 32 bytes of the key
        "openbao-database-url": _url("openbao", "owner", scheme="postgresql") + "?sslmode=disable",
        "operator-role-id": secrets.token_urlsafe(24),
        "operator-secret-id": secrets.token_urlsafe(24),
        "openbao.hcl": _vault_configuration(),
        **{f"app-{provider}.json": json.dumps(ours) for provider, ours in APPLICATIONS.items()},
    }
    for service in SERVICES:
        files |= {f"{service}-{part}": secrets.token_urlsafe(24) for part in ("role-id", "secret-id")}
        for purpose, role in ROLES.items():
            files[f"{service}-{purpose}-url"] = _url(service.replace("-", "_"), role)
    return files


def _url(name: str, role: str, *, scheme: str = "postgresql+psycopg") -> str:
    database = f"suppli_{name}"
    return f"{scheme}://{database}_{role}:{secrets.token_urlsafe(24)}@postgres:5432/{database}"


def _vault_configuration() -> str:
    template = Template((ROOT / "deploy/vault/server.hcl").read_text())
    return template.substitute(
        key_file="/run/secrets/openbao-unseal-key", address="openbao:8200", audit_file="stdout"
    )


def _write(path: Path, content: str) -> bool:
    if path.exists():
        return False
    path.write_text(content)
    path.chmod(0o444)
    return True


def main() -> None:
    """Prepare the folder that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__)
    default = os.environ.get("SUPPLI_SECRETS") or ROOT / "deploy/docker/secrets"
    parser.add_argument("folder", nargs="?", type=Path, default=default)
    folder: Path = parser.parse_args().folder
    print(f"{folder}: {len(prepare(folder))} new files.")  # noqa: T201 - a command's answer


if __name__ == "__main__":
    main()
