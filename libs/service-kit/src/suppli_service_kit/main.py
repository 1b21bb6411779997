"""The command line of every service: `python -m <package> [serve|migrate|replay-dead-letters]`."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from pydantic import ValidationError

from suppli_service_kit import memory
from suppli_service_kit.logs import configure_logging
from suppli_service_kit.migrations import migrate
from suppli_service_kit.settings import MissingSetting, ServiceSettings

if TYPE_CHECKING:
    from suppli_service_kit.service import Service

BAD_CONFIGURATION = 2


def main(
    service_factory: Callable[[], Service],
    package: str,
    *,
    settings: Callable[[], ServiceSettings] | None = None,
    argv: Sequence[str] | None = None,
) -> int:
    """Do what the command line says and return the exit code: 0 done, 1 failed, 2 wrongly configured.

    Args:
        service_factory: wires the service; called inside the event loop.
        package: of the service, where its migrations are; several as `migrate` takes them.
        settings: makes the settings; with it `migrate` needs only the migration URL to be set.
        argv: by default the process's.
    """
    arguments = _parser(package).parse_args(argv)
    try:
        if arguments.command == "migrate":
            return asyncio.run(_migrate(service_factory, package, settings))
        if arguments.command == "replay-dead-letters":
            return asyncio.run(_replay(service_factory, arguments.group, arguments.topic))
        return asyncio.run(_serve(service_factory))
    except (ValidationError, MissingSetting) as error:
        sys.stderr.write(f"{package}: {error}\n")
        return BAD_CONFIGURATION


def _parser(package: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=f"python -m {package}")
    commands = parser.add_subparsers(dest="command", metavar="serve | migrate | replay-dead-letters")
    commands.add_parser("serve", help="run the service (default)")
    commands.add_parser("migrate", help="bring the database schema to this release, then exit")
    again = commands.add_parser(
        "replay-dead-letters", help="feed a group's dead letters to its handler again"
    )
    again.add_argument("group", help="the consumer group that set them aside")
    again.add_argument("--topic", help="only those of this source topic")
    return parser


async def _serve(service_factory: Callable[[], Service]) -> int:
    from suppli_service_kit.service import serve

    memory.give_back()
    service = service_factory()
    memory.collect_seldom()
    return await serve(service)


async def _migrate(
    service_factory: Callable[[], Service], package: str, settings: Callable[[], ServiceSettings] | None
) -> int:
    configured = settings() if settings is not None else service_factory().settings
    configure_logging(package, configured.log_level)
    revision = await migrate(package, configured.migration_dsn())
    sys.stdout.write(f"{package}: database is at revision {revision}\n")
    return 0


async def _replay(service_factory: Callable[[], Service], group: str, topic: str | None) -> int:
    service = service_factory()
    configure_logging(service.name, service.settings.log_level)
    try:
        reports = await service.replay(group, topic)
    except LookupError as error:
        sys.stderr.write(f"{error}\n")
        return BAD_CONFIGURATION
    for source, report in reports.items():
        sys.stdout.write(f"{source}: {report.replayed} replayed, {report.still_bad} still bad\n")
    return 0
