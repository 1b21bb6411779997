"""Clover's errors: a status and a flat `message`; a missing permission looks like a bad token."""

from suppli_sandbox.serving import Refused, Reply, reply


class CloverError(Refused):
    """An answer that is an error, as Clover words it. `headers` are sent with it."""

    def __init__(self, status: int, message: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(f"{status}: {message}")
        self.status = status
        self.message = message
        self.headers = headers or {}

    def reply(self) -> Reply:
        """Return it as it leaves."""
        return reply({"message": self.message}, self.status, dict(self.headers))


def unauthorized() -> CloverError:
    """Return the 401 that stands for every bad, expired or foreign token and every missing permission."""
    return CloverError(401, "401 Unauthorized")


def not_found() -> CloverError:
    """Return the 404 of an unknown or deleted object."""
    return CloverError(404, "Not Found")


def bad_request(message: str) -> CloverError:
    """Return a 400."""
    return CloverError(400, message)
