"""Apache Kafka's own jars: fetched once from a Maven repository and checked against its committed SHA-256."""

import hashlib
import os
import secrets
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import requests

if TYPE_CHECKING:
    from maven_artifact import Downloader

from suppli_embedded.errors import DownloadError

MIRROR_VARIABLE = "SUPPLI_MAVEN_MIRROR"
COORDINATES = Path(__file__).with_name("kafka-jars.txt")
_THREADS = 8
_TIMEOUT = (10.0, 60.0)  # seconds to connect, seconds between two bytes
_ATTEMPTS = 3


@dataclass(frozen=True, slots=True)
class Jar:
    """One committed line: `group:artifact:version` and the SHA-256 of the file."""

    coordinate: str
    sha256: str

    @property
    def filename(self) -> str:
        """The name in the cache, `artifact-version.jar`."""
        _, artifact, version = self.coordinate.split(":")
        return f"{artifact}-{version}.jar"


def committed_jars(path: Path = COORDINATES) -> list[Jar]:
    """Return the jars that make up the broker."""
    lines = [line.split() for line in path.read_text().splitlines() if line and not line.startswith("#")]
    return [Jar(coordinate, digest) for coordinate, digest in lines]


def kafka_version(jars: Sequence[Jar]) -> str:
    """Return the version of the broker in `jars`."""
    return next(jar.coordinate.rsplit(":", 1)[1] for jar in jars if ":kafka_" in jar.coordinate)


def ensure_jars(folder: Path, jars: Sequence[Jar], mirror: str | None = None) -> float:
    """Fetch what `folder` lacks and return the seconds spent on it, 0 when everything was there.

    What is there is checked too: a damaged cache is fetched anew, a download that does not have the committed
    hash raises `DownloadError`. `mirror` (default: the environment's SUPPLI_MAVEN_MIRROR, or else the public
    repository) is the base address of a Maven repository.
    """
    from maven_artifact import Downloader  # here, because a broker elsewhere needs no jars

    folder.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    with ThreadPoolExecutor(_THREADS) as pool:
        missing = [
            jar
            for jar, good in zip(jars, pool.map(lambda j: _is_good(folder, j), jars), strict=True)
            if not good
        ]
        if not missing:
            return 0.0
        base = mirror or os.environ.get(MIRROR_VARIABLE)
        downloader = Downloader(base=base.rstrip("/")) if base else Downloader()
        for _ in pool.map(lambda jar: _fetch(downloader, folder, jar), missing):
            pass
    return time.monotonic() - began


def _is_good(folder: Path, jar: Jar) -> bool:
    try:
        return hashlib.sha256((folder / jar.filename).read_bytes()).hexdigest() == jar.sha256
    except FileNotFoundError:
        return False


def _fetch(downloader: "Downloader", folder: Path, jar: Jar) -> None:
    from maven_artifact import Artifact

    url = downloader.resolver.uri_for_artifact(Artifact.parse(jar.coordinate))
    content = _get(downloader, url, jar)
    found = hashlib.sha256(content).hexdigest()
    if found != jar.sha256:
        raise DownloadError(
            f"{jar.coordinate} from {url} is not the file this version was tested with "
            f"(SHA-256 {found}, expected {jar.sha256}). Nothing was kept. If {MIRROR_VARIABLE} is set, ask "
            "whoever runs that mirror; otherwise something on the way changes downloads."
        )
    # A name of its own: two runtimes may fill one cache at the same time.
    temporary = folder / f".{jar.filename}.{secrets.token_hex(4)}"
    temporary.write_bytes(content)
    temporary.replace(folder / jar.filename)


def _get(downloader: "Downloader", url: str, jar: Jar) -> bytes:
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            response: requests.Response = downloader.requestor.request(url, None, timeout=_TIMEOUT)
        except requests.RequestException as error:
            if attempt == _ATTEMPTS or _is_final(error):
                raise DownloadError(_advice(jar, url, error)) from error
            time.sleep(attempt)
        else:
            return response.content
    raise AssertionError("the loop returns or raises")


def _is_final(error: requests.RequestException) -> bool:
    return error.response is not None and error.response.status_code < 500


def _advice(jar: Jar, url: str, error: Exception) -> str:
    return (
        f"Apache Kafka's {jar.coordinate} could not be downloaded from {url}: {error}\n"
        "What to do: check the network and the proxy settings (HTTPS_PROXY) and start again, what has been "
        f"fetched is kept. Behind a company mirror set {MIRROR_VARIABLE} to the base address of its Maven "
        "repository. "
        "Without a network copy the cache folder of a machine that has one and set SUPPLI_CACHE to it."
    )
