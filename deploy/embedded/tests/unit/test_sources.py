"""Which servers a test session gets is said once, and never by chance."""

from pathlib import Path

import pytest
from suppli_embedded import sources
from suppli_embedded.errors import EmbeddedError
from suppli_embedded.sources import EmbeddedSource, choose


@pytest.fixture(autouse=True)
def _nothing_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("SUPPLI_TEST_SERVERS", "SUPPLI_EMBEDDED_DIR"):
        monkeypatch.delenv(variable, raising=False)


def says(problem: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "_containers_problem", lambda: problem)


def test_without_docker_the_embedded_runtime_serves_and_says_why(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Else the tests would need Docker, or nobody would know why they did not use it."""
    says("no Docker engine answers", monkeypatch)
    source = choose(tmp_path)
    assert isinstance(source, EmbeddedSource)
    assert source.name == "embedded (no Docker engine answers)"


def test_containers_that_were_asked_for_are_not_replaced(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Else a run that was to prove the images would quietly prove something else."""
    says("Docker lacks postgres:18", monkeypatch)
    monkeypatch.setenv("SUPPLI_TEST_SERVERS", "containers")
    with pytest.raises(EmbeddedError, match="but Docker lacks postgres:18"):
        choose(tmp_path)


def test_the_embedded_runtime_is_had_whatever_docker_has(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Else who has the images could not repeat what somebody without them saw."""
    says(None, monkeypatch)
    monkeypatch.setenv("SUPPLI_TEST_SERVERS", "embedded")
    assert choose(tmp_path).name == "embedded"


@pytest.mark.parametrize("more", [{"SUPPLI_TEST_SERVERS": "docker"}, {"SUPPLI_EMBEDDED_DIR": "somewhere"}])
def test_what_cannot_be_meant_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, more: dict[str, str]
) -> None:
    """Else a slip in a variable would choose for itself."""
    monkeypatch.setenv("SUPPLI_TEST_SERVERS", "containers")
    for name, value in more.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(EmbeddedError, match="SUPPLI_TEST_SERVERS"):
        choose(tmp_path)
