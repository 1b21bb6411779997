"""What a deployment's steps read from files, and refuse."""

from pathlib import Path

import pytest
from suppli_embedded.errors import EmbeddedError
from suppli_embedded.provision import read_topics, service_passwords

TOPICS = Path(__file__).parents[3] / "kafka" / "topics.yaml"
ROLES = {"migration": "owner", "database": "app", "relay": "relay"}


def write_urls(folder: Path, *, database: str = "suppli_sync_scheduler") -> None:
    for purpose, role in ROLES.items():
        url = f"postgresql+psycopg://suppli_sync_scheduler_{role}:p%40ss-{role}@postgres:5432/{database}"
        (folder / f"sync-scheduler-{purpose}-url").write_text(url + "\n")


def test_roles_get_the_passwords_of_their_urls(tmp_path: Path) -> None:
    """Else a service could not sign in with the very URL that it is given."""
    write_urls(tmp_path)
    expected = {"owner": "p@ss-owner", "app": "p@ss-app", "relay": "p@ss-relay"}
    assert service_passwords(tmp_path, "sync-scheduler") == expected


def test_a_url_to_a_neighbours_database_is_refused(tmp_path: Path) -> None:
    """Else two services would share tables because of one mistyped file."""
    write_urls(tmp_path, database="suppli_mapping")
    with pytest.raises(EmbeddedError, match="database suppli_sync_scheduler"):
        service_passwords(tmp_path, "sync-scheduler")


def test_topics_are_the_files(tmp_path: Path) -> None:
    """Else what is reviewed and what is deployed would differ."""
    file = tmp_path / "topics.yaml"
    config = "{cleanup.policy: compact, min.insync.replicas: 2, unclean.leader.election.enable: false}"
    file.write_text(f"topics:\n- {{name: a, partitions: 6, replication: 3, config: {config}}}\n")
    (topic,) = read_topics(file, None)
    assert (topic.name, topic.num_partitions, topic.replication_factor) == ("a", 6, 3)
    assert topic.topic_configs["unclean.leader.election.enable"] == "false"
    (alone,) = read_topics(file, 1)
    assert (alone.replication_factor, alone.topic_configs["min.insync.replicas"]) == (1, "1")


def test_one_broker_can_take_the_committed_topics() -> None:
    """Else a developer's composition could write nothing: acks need replicas that one broker has not."""
    topics = read_topics(TOPICS, 1)
    assert topics
    assert {topic.topic_configs["min.insync.replicas"] for topic in topics} == {"1"}
