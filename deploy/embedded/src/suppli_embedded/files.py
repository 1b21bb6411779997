"""Small helpers for files and ports of the state folder."""

import fcntl
import json
import os
import random
import secrets
import socket
import stat
from pathlib import Path
from typing import Any

from suppli_embedded.errors import EmbeddedError, FolderInUseError

# Below the range from which Linux takes ports of outgoing connections (32768 up), so that none of those sits
# on a port that a restarted server wants back.
_PORTS = range(20_000, 32_000)
_given: set[int] = set()  # handed out by this process: whoever asked may not have bound it yet


def free_ports(count: int) -> list[int]:
    """Return `count` TCP ports that nobody listens on at 127.0.0.1 now; no port is returned twice."""
    found: list[int] = []
    for port in random.SystemRandom().sample(_PORTS, k=len(_PORTS)):
        if port in _given:
            continue
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        found.append(port)
        if len(found) == count:
            _given.update(found)
            return found
    raise EmbeddedError(f"no {count} free ports between {_PORTS.start} and {_PORTS.stop}")


def write_private(path: Path, text: str) -> None:
    """Write `text` so that only this user can read it; readers see the old file or the new, never half."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    temporary.replace(path)


def secret_in(path: Path, nbytes: int = 24) -> str:
    """Return the secret kept in `path`; the first call makes it (URL-safe text of `nbytes` random bytes)."""
    if not path.exists():
        write_private(path, secrets.token_urlsafe(nbytes))
    return path.read_text().strip()


def read_json(path: Path) -> dict[str, Any]:
    """Return the object stored in `path`, empty when the file is not there."""
    try:
        content: dict[str, Any] = json.loads(path.read_text())
    except FileNotFoundError:
        return {}
    return content


def tail(path: Path, lines: int = 15) -> str:
    """Return the last lines of a log, for messages."""
    try:
        text = path.read_text(errors="replace")
    except FileNotFoundError:
        return "(no log)"
    return "\n".join(text.splitlines()[-lines:]) or "(the log is empty)"


def traversable_by_others(folder: Path) -> bool:
    """Tell whether a user without rights of its own gets down to `folder`."""
    return all(part.stat().st_mode & stat.S_IXOTH for part in (folder, *folder.parents))


class FolderLock:
    """Keeps a second runtime out of a state folder; the system frees it even when this process is killed."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "lock"
        self._descriptor: int | None = None

    def acquire(self) -> None:
        """Take the lock or raise `FolderInUseError` at once."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(descriptor, 20).decode() or "unknown"
            os.close(descriptor)
            raise FolderInUseError(
                f"{self._path.parent} is in use by process {holder}. Stop that one "
                f"(python -m suppli_embedded down --dir {self._path.parent}) or choose another folder."
            ) from None
        os.ftruncate(descriptor, 0)
        os.write(descriptor, str(os.getpid()).encode())
        self._descriptor = descriptor

    def release(self) -> None:
        """Let the next runtime in."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
