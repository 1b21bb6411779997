"""`python -m suppli_connector_clover serve|migrate|replay-dead-letters`."""

from suppli_connector_kit.service import MIGRATIONS
from suppli_service_kit.main import main

from suppli_connector_clover.app import create_app
from suppli_connector_clover.settings import Settings

if __name__ == "__main__":
    raise SystemExit(main(create_app, MIGRATIONS, settings=Settings))
