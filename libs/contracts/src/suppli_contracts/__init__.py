"""The events, topics and internal API models that the parts of Suppli Integrations agree on.

Usable alone: the only dependency is msgspec. Start with `codec.decode` to read an event and
`topics.REGISTRY` to see which topic carries what.
"""
