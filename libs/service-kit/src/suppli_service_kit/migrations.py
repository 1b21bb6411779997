"""Schema changes: a service's Alembic history, applied as a step of its own before the service starts."""

from __future__ import annotations

import asyncio
import importlib.util
from pathlib import Path
from typing import Any
from zlib import crc32

import sqlalchemy as sa

from suppli_service_kit.logs import get_logger
from suppli_service_kit.urls import sqlalchemy_url

log = get_logger(__name__)

LOCK_ID = crc32(b"suppli migrations")


class NoMigrations(Exception):
    """The package has no folder `migrations/versions`."""


async def migrate(packages: str, url: str) -> str | None:
    """Bring the database to the newest revision in `<package>/migrations/versions`; no `env.py` is needed.

    Idempotent; several at once wait for each other (advisory lock). Each revision is one transaction.

    Args:
        packages: importable name of the service, e.g. `suppli_mapping`. Where a database has the tables of
            more than one package, their names with spaces between them; revisions have different ids then.
        url: of the owner role.

    Returns:
        The revision that the database has now, one for each package; None where there are no revisions.

    Raises:
        NoMigrations: the package has none.
        sqlalchemy.exc.SQLAlchemyError: the database refuses; it stays at the last whole revision.
    """
    return await asyncio.to_thread(_migrate, [_folder(package) for package in packages.split()], url)


def _folder(package: str) -> Path:
    spec = importlib.util.find_spec(
        package
    )  # found, not imported: migrating needs none of the service's code
    for location in (spec.submodule_search_locations or []) if spec else []:
        folder = Path(location) / "migrations"
        if (folder / "versions").is_dir():
            return folder
    raise NoMigrations(f"{package} has no folder migrations/versions")


def _migrate(folders: list[Path], url: str) -> str | None:
    from alembic.config import Config
    from alembic.runtime.environment import EnvironmentContext
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(folders[0]))
    config.set_main_option("path_separator", "newline")
    config.set_main_option("version_locations", "\n".join(str(folder / "versions") for folder in folders))
    script = ScriptDirectory.from_config(config)

    def upgrade(current: Any, context: Any) -> Any:
        return script._upgrade_revs("heads", current)

    engine = sa.create_engine(sqlalchemy_url(url), poolclass=sa.NullPool, hide_parameters=True)
    try:
        with engine.connect() as locked, engine.connect() as connection:
            locked.execution_options(isolation_level="AUTOCOMMIT")
            locked.execute(sa.text("select pg_advisory_lock(:id)"), {"id": LOCK_ID})
            with EnvironmentContext(config, script, fn=upgrade, destination_rev="heads") as environment:
                environment.configure(connection=connection, transaction_per_migration=True)
                with environment.begin_transaction():
                    environment.run_migrations()
            found = connection.scalars(
                sa.text("select version_num from alembic_version order by version_num")
            )
            revision = ", ".join(found) or None
            connection.commit()
            log.info("database_migrated", revision=revision)
            return revision
    finally:
        engine.dispose()
