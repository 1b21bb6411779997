"""`python -m suppli_embedded.provision databases|vault|topics`: one step each before services are deployed.

Brings servers that somebody else runs, in containers for instance, to what the services need, with the code
that the embedded runtime uses on its own. Every step is idempotent. Secrets are files of one folder:
`postgres-password`, per service `<service>-database-url`, `-migration-url`, `-relay-url`, `-role-id` and
`-secret-id`, `operator-role-id` and `-secret-id`, and `openbao-database-url`.
"""

import json
import secrets
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import unquote, urlsplit

import typer
import yaml
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import for_code

from suppli_embedded.errors import EmbeddedError
from suppli_embedded.kafka import ensure_topics, run_apart
from suppli_embedded.openbao import OpenBaoServer, VaultFolder
from suppli_embedded.postgres import PostgresServer

app = typer.Typer(help=__doc__, no_args_is_help=True, add_completion=False)
Secrets = Annotated[Path, typer.Option("--secrets", help="The folder with the secrets' files.")]
Policies = Annotated[Path, typer.Option("--folder", help="The folder `deploy/vault`.")]
_SECRETS = Path("/run/secrets")
_VAULT = Path("/deploy/vault")
_PURPOSES = {"owner": "migration", "app": "database", "relay": "relay"}


class FlatCredentials(OpenBaoServer):
    """A server whose AppRole ids lie in one folder as `<service>-role-id` and `<service>-secret-id`."""

    def role_id_file(self, service: str) -> Path:
        """The file with the service's role id."""
        return self._credentials / f"{service}-role-id"

    def secret_id_file(self, service: str) -> Path:
        """The file with the service's secret id."""
        return self._credentials / f"{service}-secret-id"


@app.command()
def databases(
    host: str = "postgres", port: int = 5432, folder: Policies = _VAULT, files: Secrets = _SECRETS
) -> None:
    """Make the vault's database and each service's, with its roles, as their URLs' files say."""
    password = (files / "postgres-password").read_text().strip()
    server = PostgresServer(host, port, password, files)
    server.close_shared_databases()
    server.create_service_database("openbao", _vault_passwords(files))
    for service in VaultFolder(folder).services():
        server.create_service_database(service.replace("-", "_"), service_passwords(files, service))
        typer.echo(f"The database of {service} is there.")


@app.command()
def vault(url: str = "http://openbao:8200", folder: Policies = _VAULT, files: Secrets = _SECRETS) -> None:
    """Bring policies, AppRoles, internal tokens and application credentials up to date."""
    server = FlatCredentials(url, files, VaultFolder(folder))
    server.apply_folder()
    for provider in server.folder.providers():
        credentials = files / f"app-{provider}.json"
        if credentials.exists():
            server.write_app(provider, json.loads(credentials.read_text()))
            typer.echo(f"Our credentials with {provider} are stored.")
    typer.echo(f"Roles: {', '.join(server.folder.services())}.")


@app.command()
def topics(
    bootstrap_servers: str = "kafka:9092",
    file: Path = Path("/deploy/kafka/topics.yaml"),
    replication: Annotated[int | None, typer.Option(help="For fewer brokers than the file means.")] = None,
) -> None:
    """Create the topics of `deploy/kafka/topics.yaml` that are missing, and set the others' configuration."""
    wanted = read_topics(file, replication)
    created = run_apart(lambda: _apply(bootstrap_servers, wanted))
    typer.echo(f"{len(wanted)} topics are as {file.name} says, {len(created)} of them new.")


def service_passwords(files: Path, service: str) -> dict[str, str]:
    """Return the passwords of a service's three roles, by role, from the files with its database URLs.

    Raises:
        EmbeddedError: a URL names another role or database than the service's own.
    """
    database = f"suppli_{service.replace('-', '_')}"
    return {
        role: _password(files / f"{service}-{purpose}-url", database, role)
        for role, purpose in _PURPOSES.items()
    }


def _vault_passwords(files: Path) -> dict[str, str]:
    owner = _password(files / "openbao-database-url", "suppli_openbao", "owner")
    unused = {role: secrets.token_urlsafe(24) for role in ("app", "relay")}  # nobody signs in with these
    return {"owner": owner, **unused}


def _password(file: Path, database: str, role: str) -> str:
    url = urlsplit(file.read_text().strip())
    if (url.username, url.path) != (f"{database}_{role}", f"/{database}") or not url.password:
        raise EmbeddedError(f"{file} must have user {database}_{role}, a password and database {database}")
    return unquote(url.password)


def read_topics(file: Path, replication: int | None) -> list[NewTopic]:
    """Return the topics of the file; `replication` replaces its replicas, and in-sync ones to match."""
    entries: list[dict[str, Any]] = yaml.safe_load(file.read_text())["topics"]
    return [_topic(entry, replication) for entry in entries]


def _topic(entry: dict[str, Any], replication: int | None) -> NewTopic:
    configs = {name: _value(value) for name, value in entry["config"].items()}
    if replication is not None:
        configs["min.insync.replicas"] = str(max(1, replication - 1))
    replicas = replication or entry.get("replication", -1)  # -1 is the brokers' default
    return NewTopic(entry["name"], entry["partitions"], replicas, topic_configs=configs)


def _value(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


async def _apply(bootstrap_servers: str, wanted: list[NewTopic]) -> list[str]:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap_servers)
    await admin.start()
    try:
        there = set(await admin.list_topics())
        old = [topic for topic in wanted if topic.name in there]
        await _check_partitions(admin, old)
        await _configure(admin, old)
    finally:
        await admin.close()
    return await ensure_topics(bootstrap_servers, wanted)


async def _check_partitions(admin: AIOKafkaAdminClient, topics: list[NewTopic]) -> None:
    """Refuse a topic with another number of partitions: keys would land elsewhere than before."""
    described = await admin.describe_topics([topic.name for topic in topics]) if topics else []
    found = {topic["topic"]: len(topic["partitions"]) for topic in described}
    for topic in topics:
        if found[topic.name] != topic.num_partitions:
            raise EmbeddedError(
                f"{topic.name} has {found[topic.name]} partitions instead of {topic.num_partitions}: "
                "the number is never changed within a version"
            )


async def _configure(admin: AIOKafkaAdminClient, topics: list[NewTopic]) -> None:
    resources = [
        ConfigResource(ConfigResourceType.TOPIC, topic.name, configs=topic.topic_configs) for topic in topics
    ]
    for answer in await admin.alter_configs(resources) if resources else []:
        for code, message, _, name in answer.resources:
            if code:
                raise for_code(code)(f"{name}: {message}")


if __name__ == "__main__":
    app()
