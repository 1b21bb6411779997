"""`python -m suppli_sync_scheduler serve|migrate|replay-dead-letters`."""

from suppli_service_kit.service import main

from suppli_sync_scheduler.app import create_app
from suppli_sync_scheduler.settings import Settings

if __name__ == "__main__":
    raise SystemExit(main(create_app, "suppli_sync_scheduler", settings=Settings))
