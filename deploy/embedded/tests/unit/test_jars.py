"""Kafka's jars: nothing else than what was committed runs, and a failed download says what to do."""

import threading
from collections.abc import Iterator
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from suppli_embedded.errors import DownloadError
from suppli_embedded.files import free_ports
from suppli_embedded.jars import Jar, committed_jars, ensure_jars, kafka_version

CONTENT = b"a jar"
JAR = Jar("org.example:thing:1.2", sha256(CONTENT).hexdigest())


class Mirror:
    """A Maven repository of one file."""

    def __init__(self) -> None:
        self.content, self.requests, self.failures = CONTENT, list[str](), 0
        mirror = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                mirror.requests.append(self.path)
                broken = len(mirror.requests) <= mirror.failures
                self.send_response(503 if broken else 200 if self.path.endswith("thing-1.2.jar") else 404)
                self.end_headers()
                self.wfile.write(mirror.content)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/maven"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()


@pytest.fixture
def mirror() -> Iterator[Mirror]:
    mirror = Mirror()
    yield mirror
    mirror.server.shutdown()
    mirror.server.server_close()


def test_fetches_once_from_the_mirror_that_is_set(
    mirror: Mirror, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else every start would download 45 MB, or a company's mirror would be ignored."""
    monkeypatch.setenv("SUPPLI_MAVEN_MIRROR", f"{mirror.url}/")
    assert ensure_jars(tmp_path, [JAR]) > 0
    assert ensure_jars(tmp_path, [JAR]) == 0
    assert (tmp_path / "thing-1.2.jar").read_bytes() == CONTENT
    assert mirror.requests == ["/maven/org/example/thing/1.2/thing-1.2.jar"]


def test_refuses_a_jar_that_is_not_the_committed_one(mirror: Mirror, tmp_path: Path) -> None:
    """Else changed code would run on the user's machine."""
    mirror.content = b"something else"
    with pytest.raises(DownloadError, match=r"org\.example:thing:1\.2 .*SHA-256.*SUPPLI_MAVEN_MIRROR"):
        ensure_jars(tmp_path, [JAR], mirror.url)
    assert list(tmp_path.iterdir()) == []


def test_replaces_a_damaged_file_of_the_cache(mirror: Mirror, tmp_path: Path) -> None:
    """Else a broken disk or a half-written file would end in an error of Java that nobody understands."""
    (tmp_path / "thing-1.2.jar").write_bytes(CONTENT[:3])
    ensure_jars(tmp_path, [JAR], mirror.url)
    assert (tmp_path / "thing-1.2.jar").read_bytes() == CONTENT


def test_tries_again_when_the_repository_stumbles(mirror: Mirror, tmp_path: Path) -> None:
    """Else one bad answer among 46 downloads would end a first start."""
    mirror.failures = 1
    ensure_jars(tmp_path, [JAR], mirror.url)
    assert len(mirror.requests) == 2


def test_an_unknown_file_is_not_asked_for_again_and_the_message_says_what_to_do(
    mirror: Mirror, tmp_path: Path
) -> None:
    """Else the user would stand there with a stack trace."""
    with pytest.raises(DownloadError, match=r"(?s)404.*What to do:.*SUPPLI_MAVEN_MIRROR.*SUPPLI_CACHE"):
        ensure_jars(tmp_path, [Jar("org.example:other:1", JAR.sha256)], mirror.url)
    assert len(mirror.requests) == 1


def test_no_network_is_said_as_such(tmp_path: Path) -> None:
    """Else the user could not tell a missing network from a broken program."""
    with pytest.raises(DownloadError, match=r"(?s)could not be downloaded.*check the network"):
        ensure_jars(tmp_path, [JAR], f"http://127.0.0.1:{free_ports(1)[0]}")


def test_the_committed_list_is_the_broker_with_a_log() -> None:
    """Else the broker would not start, or would fail without a word."""
    jars = committed_jars()
    assert kafka_version(jars) == "4.3.1"
    assert len({jar.filename for jar in jars}) == len(jars) == 46
    assert all(len(jar.sha256) == 64 and len(jar.coordinate.split(":")) == 3 for jar in jars)
    versions = {jar.coordinate.split(":")[1]: jar.coordinate.split(":")[2] for jar in jars}
    assert versions["log4j-slf4j-impl"] == versions["log4j-core"]
