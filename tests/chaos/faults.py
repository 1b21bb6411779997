"""Everything that goes wrong: each fault is begun, lasts a while, and is mended."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from itertools import chain

from suppli_sandbox.client import FaultSpec

from tests.chaos.proxy import Mode
from tests.chaos.system import ChaosSystem

Strike = Callable[[ChaosSystem, Sequence[str], random.Random], AbstractContextManager[None]]

# Every page takes a moment, so that a fault finds a sync in the middle.
PACE = FaultSpec(kind="slow", operation="SearchOrders", times=None, delay_seconds=0.1)
READ = "SearchOrders"
PROVIDER = "provider"


@dataclass(frozen=True, slots=True)
class Fault:
    """What goes wrong.

    Attributes:
        target: what it happens to; of faults that overlap, no two have the same.
        strike: called with system, merchants and a draw; the fault lasts as long as its context.
        seconds: how long it lasts.
        ends_authorization: whether a person must sign in at the provider again after it.
    """

    name: str
    target: str
    strike: Strike
    seconds: float = 1.0
    ends_authorization: bool = False


def killed(name: str) -> Strike:
    @contextmanager
    def strike(system: ChaosSystem, merchants: Sequence[str], draw: random.Random) -> Iterator[None]:
        system.kill(name)
        yield
        system.services[name].start()  # that it gets ready again is part of the recovery

    return strike


def frozen(name: str) -> Strike:
    @contextmanager
    def strike(system: ChaosSystem, merchants: Sequence[str], draw: random.Random) -> Iterator[None]:
        system.freeze(name)
        yield
        system.thaw(name)

    return strike


def down(server: str, *, kill: bool) -> Strike:
    @contextmanager
    def strike(system: ChaosSystem, merchants: Sequence[str], draw: random.Random) -> Iterator[None]:
        process = getattr(system.runtime, server)
        (process.kill if kill else process.stop)()
        yield
        process.start()

    return strike


@contextmanager
def sealed(system: ChaosSystem, merchants: Sequence[str], draw: random.Random) -> Iterator[None]:
    system.runtime.openbao.seal()
    yield
    system.runtime.openbao.stop()
    system.runtime.openbao.start()


def network(link: tuple[str, str], mode: Mode) -> Strike:
    @contextmanager
    def strike(system: ChaosSystem, merchants: Sequence[str], draw: random.Random) -> Iterator[None]:
        system.switch(link, mode, draw.randrange(1 << 30))
        yield
        system.switch(link, Mode.PASS)

    return strike


def provider(*specs: FaultSpec) -> Strike:
    @contextmanager
    def strike(system: ChaosSystem, merchants: Sequence[str], draw: random.Random) -> Iterator[None]:
        for merchant in merchants:
            system.control.add_faults(merchant, *specs)
        yield
        for merchant in merchants:
            system.control.set_faults(merchant, PACE)

    return strike


@contextmanager
def touched_between_pages(
    system: ChaosSystem, merchants: Sequence[str], draw: random.Random
) -> Iterator[None]:
    spec = FaultSpec(kind="touch_orders", operation=READ, after=1, times=6, count=8, seed=draw.randrange(999))
    with provider(spec)(system, merchants, draw):
        yield


@contextmanager
def late_between_pages(system: ChaosSystem, merchants: Sequence[str], draw: random.Random) -> Iterator[None]:
    """Sales rung up offline days ago reach the provider while a page is being asked for."""
    for merchant in merchants:
        some = next(order for order in system.control.orders(merchant) if order["state"] == "COMPLETED")
        stale = {key: value for key, value in some.items() if key not in {"id", "updated_at", "version"}}
        late = tuple(stale | {"id": f"LATE{draw.getrandbits(80):020X}"} for _ in range(3))
        system.control.add_faults(
            merchant, FaultSpec(kind="late_orders", operation=READ, after=1, orders=late)
        )
    yield
    for merchant in merchants:
        system.control.set_faults(merchant, PACE)


def provider_faults() -> list[Fault]:
    """Return everything that the sandbox knows, some of it at the worst call."""

    def fault(name: str, *specs: FaultSpec, seconds: float = 1.0, ends: bool = False) -> Fault:
        return Fault(f"provider: {name}", PROVIDER, provider(*specs), seconds, ends)

    expired = FaultSpec(kind="token_expired", operation=READ)
    return [
        fault("429 with Retry-After", FaultSpec(kind="rate_limit", operation=READ, times=3, retry_after="1")),
        fault("429 without Retry-After", FaultSpec(kind="rate_limit", operation=READ, times=3)),
        fault("500", FaultSpec(kind="server_error", status=500, operation=READ, times=6)),
        fault("503 to everything", FaultSpec(kind="server_error", times=10)),
        fault("slow", FaultSpec(kind="slow", times=6, delay_seconds=2), seconds=3),
        fault("connection reset", FaultSpec(kind="reset", after=1, times=6)),
        fault("lost reply to a page", FaultSpec(kind="lost_reply", operation=READ, times=3)),
        fault("truncated JSON", FaultSpec(kind="truncated_json", after=1, times=5)),
        fault("HTML with 200", FaultSpec(kind="html", status=200, times=5)),
        fault("HTML with 502", FaultSpec(kind="html", status=502, times=5)),
        fault("token expired", expired),
        fault("lost reply to a refresh", expired, FaultSpec(kind="lost_reply", operation="ObtainToken")),
        fault(
            "refresh answered by 503",
            expired,
            FaultSpec(kind="server_error", operation="ObtainToken", times=3),
        ),
        fault("refresh cut short", expired, FaultSpec(kind="truncated_json", operation="ObtainToken")),
        fault("cursor expired", FaultSpec(kind="cursor_expired", operation=READ, times=3)),
        fault("flat 401", FaultSpec(kind="legacy_error", operation=READ), ends=True),
        fault("authorization revoked", FaultSpec(kind="token_revoked", operation=READ), ends=True),
        fault(
            "scope removed",
            FaultSpec(kind="scope_removed", operation=READ, scopes=("ORDERS_READ",)),
            ends=True,
        ),
        Fault("provider: orders touched between pages", PROVIDER, touched_between_pages),
        Fault("provider: late orders between pages", PROVIDER, late_between_pages),
    ]


def process_faults(system: ChaosSystem, lease_seconds: float) -> list[Fault]:
    """Return the deaths and freezes of our own processes; a freeze outlasts the lease."""
    freezes = [
        Fault(f"freeze {name} past its lease", name, frozen(name), lease_seconds + 1.5)
        for name in system.parts
        if system.parts[name].name in {"connector-square", "sync-scheduler", "mapping"}
    ]
    return deaths(system) + freezes


def deaths(system: ChaosSystem) -> list[Fault]:
    """Return a power cut for each process."""
    return [Fault(f"kill -9 {name}", name, killed(name), 0.2) for name in system.parts]


def server_faults() -> list[Fault]:
    """Return what happens to the servers under us."""
    return [
        Fault("Kafka restarted", "kafka", down("kafka", kill=False), 0.5),
        Fault("Kafka killed", "kafka", down("kafka", kill=True), 0.5),
        Fault("PostgreSQL restarted", "postgres", down("postgres", kill=False), 0.5),
        Fault("PostgreSQL killed", "postgres", down("postgres", kill=True), 0.5),
        Fault("OpenBao killed", "openbao", down("openbao", kill=True), 0.5),
        Fault("OpenBao sealed and unsealed", "openbao", sealed, 1.0),
    ]


def network_faults(system: ChaosSystem) -> list[Fault]:
    """Return what happens between each process and each of its servers."""
    return [
        Fault(f"network {mode}: {name} to {server}", name, network((name, server), mode), seconds)
        for name, server in system.links
        for mode, seconds in (
            (Mode.CUT, 1.5),
            (Mode.SLOW, 2.5),
            (Mode.TRUNCATE, 2.0),
            (Mode.BLACK_HOLE, 2.5),
        )
    ]


def rounds(system: ChaosSystem, lease_seconds: float, draw: random.Random) -> Iterator[Fault]:
    """Yield faults without end: all of them in an order drawn anew each round."""
    while True:
        kinds = (process_faults(system, lease_seconds), server_faults(), network_faults(system))
        yield from _mixed(draw, *kinds, provider_faults())


def _mixed(draw: random.Random, *kinds: list[Fault]) -> list[Fault]:
    """Return all faults, each kind in an order of its own and spread evenly."""
    placed: list[tuple[float, Fault]] = []
    for kind in kinds:
        draw.shuffle(kind)
        placed += [((place + draw.random()) / len(kind), fault) for place, fault in enumerate(kind)]
    return [fault for _, fault in sorted(placed, key=lambda pair: pair[0])]


def short(system: ChaosSystem, draw: random.Random) -> list[Fault]:
    """Return a few of each kind, for the tests that run every time."""
    links = list(system.links)
    draw.shuffle(links)
    by_server = {server: (name, server) for name, server in links}
    modes = [Mode.CUT, Mode.SLOW, Mode.TRUNCATE, Mode.BLACK_HOLE]
    draw.shuffle(modes)
    wires = [
        Fault(f"network {mode}: {link[0]} to {link[1]}", link[0], network(link, mode), 1.5)
        for mode, link in zip(modes, by_server.values(), strict=True)
    ]
    once = [
        fault for fault in deaths(system) if fault.target in {part.name for part in system.parts.values()}
    ]
    servers = [fault for fault in server_faults() if fault.name.endswith(("killed", "sealed and unsealed"))]
    provided = [fault for fault in provider_faults() if not fault.ends_authorization]
    return _mixed(draw, once, servers, wires, draw.sample(provided, 5))


def waves(faults: Iterable[Fault], overlap: int) -> Iterator[list[Fault]]:
    """Yield faults that strike together, up to `overlap`, each of another target; none is left out."""
    source = iter(faults)
    while True:
        wave: list[Fault] = []
        later: list[Fault] = []
        while len(wave) < overlap and (fault := next(source, None)) is not None:
            clashes = fault.target in {each.target for each in wave}
            (later if clashes else wave).append(fault)
        if not wave:
            return
        if later:
            source = chain(later, source)
        yield wave
