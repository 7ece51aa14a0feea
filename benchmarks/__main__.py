"""`python -m benchmarks`: runs the benchmarks, prints tables and verdicts, writes RESULTS.md and the raw figures."""

import argparse
import dataclasses
import importlib.metadata
import json
import os
import sys
from collections.abc import Callable

from benchmarks.calls import measure_calls
from benchmarks.down import measure_down
from benchmarks.figures import Outcome
from benchmarks.hold import measure_hold
from benchmarks.imports import measure_import
from benchmarks.instructions import measure_instructions
from benchmarks.peers import ROOT, WORK
from benchmarks.processes import Progress
from benchmarks.profiling import measure_profiler
from benchmarks.report import PACKAGES, as_text, machine, results, taken, verdict_table
from benchmarks.served import measure_served
from benchmarks.spans import measure_disabled, measure_spans
from benchmarks.web import measure_requests

BENCHMARKS: dict[str, Callable[[int, bool, Progress], Outcome]] = {
    "spans": measure_spans,
    "disabled": measure_disabled,
    "hold": measure_hold,
    "import": measure_import,
    "requests": measure_requests,
    "served": measure_served,
    "calls": measure_calls,
    "instructions": measure_instructions,
    "down": measure_down,
    "profiler": measure_profiler,
}


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Measure ddmiddleware, ddtrace and OpenTelemetry side by side, in CPU time and in instructions.",
        epilog="Exit status: 0 when all was measured, 1 when a budget is exceeded with --check, 2 when something "
        "was not measured. Raw figures go to benchmarks/.work/; full runs and --again write benchmarks/RESULTS.md.",
    )
    parser.add_argument("--quick", action="store_true", help="two rounds of less work: rough figures in two minutes")
    parser.add_argument("--rounds", type=int, metavar="N", help="rounds to take medians over (7; with --quick 2)")
    parser.add_argument("--only", metavar="NAMES", help=f"comma-separated: {','.join(BENCHMARKS)}")
    parser.add_argument("--again", metavar="NAMES", help="these anew, with what the last run found of the others")
    parser.add_argument("--check", action="store_true", help="exit with 1 when a budget is exceeded")
    arguments = parser.parse_args()
    named = arguments.only or arguments.again
    arguments.names = named.split(",") if named else list(BENCHMARKS)
    if unknown := set(arguments.names) - set(BENCHMARKS):
        parser.error(f"unknown benchmark: {', '.join(sorted(unknown))}")
    if absent := [name for name in PACKAGES if not _installed(name)]:
        parser.error(f"not installed for this Python: {', '.join(absent)}; `make bench` has an environment of its own")
    if arguments.rounds is None:
        arguments.rounds = 2 if arguments.quick else 7
    if arguments.rounds < 1:
        parser.error("--rounds must be at least 1")
    return arguments


def _installed(package: str) -> bool:
    try:
        importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def _last() -> dict[str, Outcome]:
    """Return what the last run found, as far as it went."""
    raw = json.loads((WORK / "raw.json").read_text())
    return {name: Outcome.kept(raw[name]) for name in BENCHMARKS if name in raw}


def main() -> int:
    arguments = _arguments()
    WORK.mkdir(exist_ok=True)
    for log in WORK.glob("*.log"):
        log.unlink()
    progress = Progress()
    outcomes = _last() if arguments.again else {}
    for number, name in enumerate(arguments.names, 1):
        progress.heading(f"[{number}/{len(arguments.names)}] {name}")
        load_at_start = os.getloadavg()[0]
        outcomes[name] = BENCHMARKS[name](arguments.rounds, arguments.quick, progress)
        outcomes[name].taken = taken(load_at_start, arguments.rounds)
        progress.clear()
        print("\n".join(map(as_text, outcomes[name].tables)), flush=True)
    facts = machine()
    verdicts = [verdict for outcome in outcomes.values() for verdict in outcome.verdicts]
    print(as_text(verdict_table(verdicts)))
    raw = {name: dataclasses.asdict(outcome) for name, outcome in outcomes.items()}
    (WORK / "raw.json").write_text(json.dumps({"machine": dict(facts), **raw}, indent=1))
    if not arguments.quick and outcomes.keys() == BENCHMARKS.keys():
        (ROOT / "benchmarks" / "RESULTS.md").write_text(results(outcomes, facts))
        print("Written: benchmarks/RESULTS.md")
    problems = [f"{name}: {why}" for name, outcome in outcomes.items() for why in outcome.problems]
    if problems:
        print("Not measured:", *problems, sep="\n  ", file=sys.stderr)
        return 2
    return int(arguments.check and any(verdict.word == "over" for verdict in verdicts))


if __name__ == "__main__":
    raise SystemExit(main())
