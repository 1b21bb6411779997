"""`python -m suppli_mapping [serve|migrate|replay-dead-letters]`."""

import sys

from suppli_service_kit.service import main

from suppli_mapping.app import create_service
from suppli_mapping.settings import Settings

if __name__ == "__main__":
    sys.exit(main(create_service, "suppli_mapping", settings=Settings))
