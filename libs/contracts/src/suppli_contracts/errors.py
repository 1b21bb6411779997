"""What can be wrong with a message, as exceptions that say where."""


class ContractError(Exception):
    """Root of everything this package raises."""


class BadEnvelope(ContractError):
    """The CloudEvents headers are missing or malformed.

    Attributes:
        header: the header that is wrong, e.g. `ce_id`.
    """

    def __init__(self, header: str, problem: str) -> None:
        super().__init__(f"header {header}: {problem}")
        self.header = header


class UnknownEvent(ContractError):
    """The `ce_type` names no event of this version of the contracts."""

    def __init__(self, event_type: str) -> None:
        super().__init__(f"no event of type {event_type!r} is known")
        self.event_type = event_type


class BadEvent(ContractError):
    """The body is not what its type promises.

    Attributes:
        event_type: the `ce_type` of the message.
        field: the JSON path of the value that is wrong, e.g. `$.lines[2].quantity`, where known.
    """

    def __init__(self, event_type: str, problem: str, field: str | None = None) -> None:
        super().__init__(f"{event_type}: {problem}")
        self.event_type = event_type
        self.field = field
