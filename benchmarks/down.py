"""A sink that is down: CPU per span while it refuses or hangs, and how long the process then takes to exit."""

import contextlib
import socket
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

from benchmarks.figures import Outcome, Series, Table, Verdict, differences, ratios
from benchmarks.peers import NOTHING, OURS, TRACERS, Peer
from benchmarks.processes import EXIT_LIMIT_S, Child, NotMeasuredError, Progress, sink

_MODES = {"refusing": "refuses connections", "hanging": "accepts and never answers"}
_SPANS_PER_S = 2000


@contextlib.contextmanager
def _address(mode: str) -> Iterator[str]:
    if mode == "hanging":
        with sink("hang") as end:
            yield end.url
        return
    # Bound but not listening: the port refuses, and nobody else can take it meanwhile.
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{holder.getsockname()[1]}"


def measure_down(rounds: int, quick: bool, progress: Progress) -> Outcome:
    """A steady pace for some seconds, then an ordinary exit; the exits run side by side, for they mostly sleep."""
    seconds = 2.0 if quick else 5.0
    rounds = max(1, rounds // 3)
    cpu_us: dict[tuple[str, str], Series] = defaultdict(Series)
    took_s: dict[tuple[str, str], Series] = defaultdict(Series)
    exit_s: dict[tuple[str, str], Series] = defaultdict(Series)
    peers = (NOTHING, *TRACERS)
    for number in range(rounds):
        with contextlib.ExitStack() as stack:
            pool = stack.enter_context(ThreadPoolExecutor(len(peers) * len(_MODES)))
            addresses = {mode: stack.enter_context(_address(mode)) for mode in _MODES}
            leaving: dict[tuple[str, str], Future[float]] = {}
            for mode, url in addresses.items():
                for peer in peers:
                    progress.step(f"round {number + 1} of {rounds}, sink {mode}, {peer.label}")
                    key = (peer.name, mode)
                    try:
                        child = Child(peer, url)
                        answer = child.ask("paced", seconds=seconds, spans_per_s=_SPANS_PER_S)
                    except NotMeasuredError as error:
                        for series in (cpu_us[key], took_s[key], exit_s[key]):
                            series.add(0.0, str(error))
                        continue
                    cpu_us[key].add(answer["cpu_s"] * 1e6 / answer["made"])
                    took_s[key].add(answer["took_s"])
                    leaving[key] = pool.submit(child.leave)
            progress.step(f"round {number + 1} of {rounds}, waiting for the exits, up to {EXIT_LIMIT_S:.0f} s")
            for key, future in leaving.items():
                exit_s[key].add(future.result())
    delays = {
        (peer.name, mode): differences(exit_s[peer.name, mode], exit_s[NOTHING.name, mode])
        for peer in peers
        for mode in _MODES
    }
    tables = [
        Table(
            f"Sink down: it {what}",
            ("peer", "CPU us per span", "ddmiddleware / peer", "took s", "exit delay s"),
            [_row(peer, mode, cpu_us, took_s, delays) for peer in TRACERS],
            f"{_SPANS_PER_S} spans a second in traces of 10 for {seconds:.0f} s, never flushed, then an ordinary exit. "
            "Took longer: the caller was held up. The exit delay is beyond that of a process without a tracer.",
        )
        for mode, what in _MODES.items()
    ]
    verdicts = [Verdict(f"Exit delay, sink {mode}", 1.0, delays[OURS.name, mode].median, "s") for mode in _MODES]
    problems = [f"{peer}, {mode}: {why}" for (peer, mode), one in cpu_us.items() for why in one.problems]
    raw = {
        f"{peer}/{mode}": {
            "cpu_us": one.values,
            "took_s": took_s[peer, mode].values,
            "exit_s": exit_s[peer, mode].values,
        }
        for (peer, mode), one in cpu_us.items()
    }
    return Outcome(tables, verdicts, problems, raw)


def _row(
    peer: Peer,
    mode: str,
    cpu_us: dict[tuple[str, str], Series],
    took_s: dict[tuple[str, str], Series],
    delays: dict[tuple[str, str], Series],
) -> list[str]:
    key = (peer.name, mode)
    ratio = "1" if peer is OURS else ratios(cpu_us[OURS.name, mode], cpu_us[key]).text(3)
    return [peer.label, cpu_us[key].text(), ratio, took_s[key].text(), delays[key].text(2)]
