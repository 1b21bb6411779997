"""The registry's topics on an embedded broker: replicated once, dead-letter topics included."""

from collections.abc import Mapping

from aiokafka.admin import NewTopic
from suppli_contracts.topics import DAY_MS, REGISTRY, Cleanup, Topic

from suppli_embedded.kafka import ensure_topics

_DEAD_LETTER_DAYS = 30


async def create_topics(bootstrap_servers: str, registry: Mapping[str, Topic] = REGISTRY) -> list[str]:
    """Create every topic of `registry` that is missing, with dead-letter topics; wait until they are usable.

    Return the names of the new ones.
    """
    topics = [topic for entry in registry.values() for topic in (_main(entry), *_dead_letters(entry))]
    return await ensure_topics(bootstrap_servers, topics)


def _main(topic: Topic) -> NewTopic:
    retention = -1 if topic.retention_days is None else topic.retention_days * DAY_MS
    configs = {"cleanup.policy": topic.cleanup.value, "retention.ms": str(retention)}
    return NewTopic(topic.name, topic.partitions, 1, topic_configs=configs)


def _dead_letters(topic: Topic) -> list[NewTopic]:
    configs = {"cleanup.policy": Cleanup.DELETE.value, "retention.ms": str(_DEAD_LETTER_DAYS * DAY_MS)}
    names = [topic.dead_letter(consumer.group) for consumer in topic.consumers]
    return [NewTopic(name, 1, 1, topic_configs=configs) for name in names]
