"""`python -m suppli_gateway [serve|migrate|replay-dead-letters|openapi]`."""

import sys

from suppli_service_kit.main import main
from suppli_service_kit.service import Service
from suppli_service_kit.settings import ServiceSettings

from suppli_gateway import document


def _service() -> Service:
    from suppli_gateway.app import create_service
    from suppli_gateway.settings import Settings

    return create_service(Settings())  # from the environment


def _settings() -> ServiceSettings:
    from suppli_gateway.settings import Settings

    return Settings()  # from the environment


if __name__ == "__main__":
    if sys.argv[1:2] == ["openapi"]:
        raise SystemExit(document.main(sys.argv[2:]))
    raise SystemExit(main(_service, "suppli_gateway", settings=_settings))
