"""`python -m suppli_connector_upload serve|migrate|replay-dead-letters`."""

from suppli_service_kit.main import main

from suppli_connector_upload.app import MIGRATIONS, create_app
from suppli_connector_upload.settings import Settings

if __name__ == "__main__":
    raise SystemExit(main(create_app, MIGRATIONS, settings=Settings))
