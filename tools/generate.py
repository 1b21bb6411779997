"""Write what is generated and committed: schemas, AsyncAPI, topics, ACLs, Vault policies, table of metrics,
what the containers and the import rules need of each connector.

`python -m tools.generate` writes, `--check` only says what is out of date (exit 1).
"""

from __future__ import annotations

import importlib
import json
import pkgutil
import re
import sys
from pathlib import Path
from typing import Any

import yaml
from suppli_contracts.asyncapi import asyncapi
from suppli_contracts.dead_letters import replay_group
from suppli_contracts.events import ALL
from suppli_contracts.schemas import name_of, schema_of
from suppli_contracts.topics import DAY_MS, REGISTRY, Cleanup, Topic
from suppli_service_kit.metrics import DEFINITIONS

from tools import containers
from tools.connectors import connectors
from tools.workspace import ROOT, import_rules, packages, workspace

CONTRACTS = ROOT / "libs" / "contracts"
HEADER = "# Generated from the topic registry of suppli_contracts by `make generate`; not edited by hand.\n"

METRICS_BEGIN, METRICS_END = "<!-- metrics -->", "<!-- /metrics -->"
METRICS_HEAD = ("| metric | labels | meaning | what to do |", "| --- | --- | --- | --- |")
_NOT_LOADED = re.compile(r"\.(__main__|migrations|testing)\b")
_ROW = re.compile(r"^\| `(?P<name>suppli_\w+)` \|.*\| (?P<advice>[^|]*) \|$", re.MULTILINE)

INTERNAL_RULE = """\
path "secret/data/suppli/internal/connector-{provider}" {{
  capabilities = ["read"]
}}
"""
FILES_POLICY = (
    """\
# The connector of {provider}: files need no authorization, so it keeps no secret of anybody's.
"""
    + INTERNAL_RULE
)
CONNECTOR_POLICY = (
    """\
# The connector of {provider}: keeps its connections' tokens, reads the application's credentials.
path "secret/data/suppli/tokens/{provider}/*" {{
  capabilities = ["create", "read", "update"]
}}
# What was written is destroyed, and the numbers of versions stay: deleting the metadata would begin them at 1
# again, and a replica that slept through it could write an old token over a new one.
path "secret/metadata/suppli/tokens/{provider}/*" {{
  capabilities = ["read"]
}}
path "secret/destroy/suppli/tokens/{provider}/*" {{
  capabilities = ["create", "update"]
}}
path "secret/data/suppli/app/{provider}" {{
  capabilities = ["read"]
}}
"""
    + INTERNAL_RULE
)


def generated() -> dict[Path, str]:
    """Return every generated file with its content."""
    files = {CONTRACTS / "schemas" / f"{name_of(event)}.json": _json(schema_of(event)) for event in ALL}
    files[CONTRACTS / "asyncapi.json"] = _json(asyncapi("1.0.0", _examples()))
    files[ROOT / "deploy" / "kafka" / "topics.yaml"] = HEADER + _yaml({"topics": _topics()})
    files[ROOT / "deploy" / "kafka" / "acls.yaml"] = HEADER + _yaml({"principals": _acls()})
    observability = ROOT / "docs" / "observability.md"
    files[observability] = _with_metrics(observability)
    for connector in connectors():
        policy = ROOT / "deploy" / "vault" / "policies" / f"{connector.service}.hcl"
        template = CONNECTOR_POLICY if connector.has_tokens else FILES_POLICY
        files[policy] = HEADER + template.format(provider=connector.provider)
    services, docker = _services(), ROOT / "deploy" / "docker"
    compose = ROOT / "docker-compose.yml"
    files[compose] = containers.composition(compose, services, connectors())
    files[docker / "replicas.yml"] = containers.replicas(services)
    files[docker / "applications.json"] = containers.applications(connectors())
    for path, listed in ((ROOT / ".importlinter", import_rules), (ROOT / "pyproject.toml", workspace)):
        files[path] = listed(path)
    return files


def _services() -> list[str]:
    """Return every service, the connectors last."""
    return sorted(_acls_by_service(), key=lambda name: (name.startswith("connector-"), name))


def _acls_by_service() -> set[str]:
    return {str(each["principal"]).removeprefix("User:") for each in _acls()}


def _examples() -> dict[str, dict[str, Any]]:
    """Return the committed examples by event and name."""
    return {
        name_of(event): {
            path.stem: json.loads(path.read_text())
            for path in sorted((CONTRACTS / "examples" / name_of(event)).glob("*.json"))
        }
        for event in ALL
    }


def _topics() -> list[dict[str, Any]]:
    topics = []
    for topic in REGISTRY.values():
        topics.append(_topic(topic))
        topics += [
            {
                "name": topic.dead_letter(consumer.group),
                "partitions": topic.partitions,
                "config": {"cleanup.policy": "delete", "retention.ms": 30 * DAY_MS, **_SAFE},
            }
            for consumer in topic.consumers
        ]
    return topics


_SAFE = {"min.insync.replicas": 2, "unclean.leader.election.enable": False}


def _topic(topic: Topic) -> dict[str, Any]:
    config: dict[str, Any] = {"cleanup.policy": topic.cleanup.value, **_SAFE}
    if topic.cleanup is Cleanup.DELETE and topic.retention_days is not None:
        config["retention.ms"] = topic.retention_days * DAY_MS
    return {
        "name": topic.name,
        "partitions": topic.partitions,
        "replication": 3,
        "config": config,
    }


def _acls() -> list[dict[str, Any]]:
    """Return what each service's principal may do: write its topics, read its groups' topics, dead-letter."""
    rights: dict[str, dict[str, set[str]]] = {}
    for topic in REGISTRY.values():
        for producer in topic.producers:
            _rights(rights, producer.service)["write"].add(topic.name)
        for consumer in topic.consumers:
            own = _rights(rights, consumer.service)
            own["read"] |= {topic.name, topic.dead_letter(consumer.group)}
            own["write"].add(topic.dead_letter(consumer.group))
            own["groups"] |= {consumer.group, replay_group(consumer.group)}
    for topic in REGISTRY.values():  # who yields must see the lag of the groups that it yields to
        for producer in topic.producers:
            _rights(rights, producer.service)["describe_groups"] |= set(topic.yields_to)
    return [
        {
            "principal": f"User:{service}",
            **{right: sorted(names) for right, names in sorted(own.items()) if names},
        }
        for service, own in sorted(rights.items())
    ]


def _rights(rights: dict[str, dict[str, set[str]]], service: str) -> dict[str, set[str]]:
    return rights.setdefault(
        service, {"read": set(), "write": set(), "groups": set(), "describe_groups": set()}
    )


def _load_all() -> None:
    """Load every module of every service: a metric is defined where its module is loaded."""
    for package in packages("libs/*", "services/*"):
        found = importlib.import_module(package.name)
        for module in pkgutil.walk_packages(found.__path__, f"{package.name}."):
            if not _NOT_LOADED.search(module.name):
                importlib.import_module(module.name)


def _with_metrics(path: Path) -> str:
    """Return the document with its table of metrics as the code has it; the last column stays as written."""
    _load_all()
    text = path.read_text()
    advice = {row["name"]: row["advice"] for row in _ROW.finditer(text)}
    rows = [
        f"| `{name}` | {', '.join(labels) or '-'} | {meaning} | {advice.get(name, '-')} |"
        for name, (_, labels, meaning) in sorted(DEFINITIONS.items())
    ]
    before, _, rest = text.partition(METRICS_BEGIN)
    after = rest.partition(METRICS_END)[2]
    return "\n".join([f"{before}{METRICS_BEGIN}", *METRICS_HEAD, *rows, f"{METRICS_END}{after}"])


def _json(document: Any) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _yaml(document: Any) -> str:
    text: str = yaml.safe_dump(document, sort_keys=False, width=110)
    return text


def main() -> int:
    """Write or check the generated files; return the exit status."""
    check = "--check" in sys.argv[1:]
    files = generated()
    known = set((CONTRACTS / "schemas").glob("*.json"))
    orphans = sorted(known - set(files))
    stale = [path for path, text in files.items() if not path.exists() or path.read_text() != text]
    if check:
        for path in [*stale, *orphans]:
            sys.stderr.write(f"out of date: {path.relative_to(ROOT)} (run `make generate`)\n")
        return 1 if stale or orphans else 0
    for path in stale:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(files[path])
    for path in orphans:
        path.unlink()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
