"""What the process that reads a file says, as frames on its standard output."""

from __future__ import annotations

from typing import BinaryIO, TypeAlias

import msgspec

from suppli_connector_upload.domain.detected import Detected, Refusal
from suppli_connector_upload.domain.looks import Look
from suppli_connector_upload.domain.outcomes import FileSale, RowError
from suppli_connector_upload.domain.plan import Plan

LENGTH = 4
"""Bytes before each frame that say how long it is, least significant first."""
LONGEST = 256 << 20


class Ask(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be done, as JSON on the standard input.

    Attributes:
        path: of the file; `folder` is for what is put aside.
        plan: how it is read; None = find out how it may be, by what a person `answers`.
        looking: only sum it up.
        memory: most address space (bytes).
        parent: the process that asks; without it nobody wants the answer.
    """

    path: str
    folder: str
    plan: Plan | None
    answers: dict[str, str]
    looking: bool
    memory: int
    parent: int


class Found(msgspec.Struct, frozen=True, tag="found"):
    """What the file seems to be."""

    detected: Detected


class Looked(msgspec.Struct, frozen=True, tag="looked"):
    """What all of it is, by the plan."""

    look: Look


class Sales(msgspec.Struct, frozen=True, tag="sales"):
    """The next sales."""

    sales: list[FileSale]


class Errors(msgspec.Struct, frozen=True, tag="errors"):
    """The next rows that are left out; all of them come before the first sale."""

    errors: list[RowError]


class End(msgspec.Struct, frozen=True, tag="end"):
    """The file is read."""


class Refused(msgspec.Struct, frozen=True, tag="refused"):
    """The file cannot be read (on)."""

    refusal: Refusal


Frame: TypeAlias = Found | Looked | Sales | Errors | End | Refused

_ENCODER = msgspec.msgpack.Encoder()
DECODER = msgspec.msgpack.Decoder(Frame)


def send(target: BinaryIO, frame: Frame) -> None:
    """Write a frame."""
    body = _ENCODER.encode(frame)
    target.write(len(body).to_bytes(LENGTH, "little"))
    target.write(body)
    target.flush()
