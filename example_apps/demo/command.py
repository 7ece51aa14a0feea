"""The command: starts the services, makes the requests, checks and shows what was collected, serves until Ctrl-C."""

import argparse
import os
import signal
import time
from collections.abc import Sequence

import httpx
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from example_apps.demo import account, checks, report
from example_apps.demo.collected import Collected, Span
from example_apps.demo.plan import CATALOG, ENDPOINTS, INVENTORY, REVIEWS, SAMPLE, SHOP, mixture
from example_apps.demo.services import SIGNALS, WORKERS, ServiceError, Services
from example_apps.demo.traffic import Visit, drive

INTERRUPTED = 130
PLAIN_STEPS = 5
PROFILED = (SHOP, INVENTORY, CATALOG, REVIEWS)
HOTTEST = 3
WATCH_S = 0.5


def main(argv: Sequence[str] | None = None) -> int:
    """Run the demo; return 0 when every check held, 1 otherwise, 130 when it was interrupted before that was known."""
    options = _parser().parse_args(argv)
    console = Console(highlight=False)
    for number in SIGNALS:
        signal.signal(number, signal.default_int_handler)
    status = INTERRUPTED
    try:
        with Services() as services:
            with console.status("Starting the services"):
                services.start()
            _introduce(console, services)
            status = _run(console, services, options)
            if os.environ.get("CI", "").lower() not in ("true", "1"):
                console.print("The services stay up until Ctrl-C; their logs are in", services.folder, soft_wrap=True)
                while True:
                    services.check()
                    time.sleep(WATCH_S)
    except (ServiceError, httpx.HTTPError) as error:
        console.print(f"The demo stops: {error}", markup=False, soft_wrap=True)
        status = 1
    except KeyboardInterrupt:
        console.print("Stopped.")
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m example_apps.demo",
        description="Run four traced services under gunicorn and uvicorn, make requests, check the trace of each, and"
        " show what the collector made of them. Everything listens on free ports of 127.0.0.1.",
        epilog="With CI=true in the environment the demo stops by itself. The exit status is 0 if every check held.",
    )
    parser.add_argument(
        "--requests",
        type=_requests,
        default=300,
        metavar="N",
        help=f"how many requests to make, at least {len(ENDPOINTS)} (default: %(default)s)",
    )
    parser.add_argument(
        "--at-once",
        type=_at_once,
        default=4,
        metavar="N",
        help="how many of them at a time, up to 32 (default: %(default)s)",
    )
    return parser


def _requests(text: str) -> int:
    if not text.isdecimal() or int(text) < len(ENDPOINTS):
        raise argparse.ArgumentTypeError(f"must be {len(ENDPOINTS)} at least: one for each kind of request")
    return int(text)


def _at_once(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 32:
        raise argparse.ArgumentTypeError("must be a number from 1 to 32")
    return int(text)


def _introduce(console: Console, services: Services) -> None:
    console.print(f"collector  {services.collector.url}", soft_wrap=True)
    console.print(f"inventory  {services.inventory.url}  Starlette, uvicorn", soft_wrap=True)
    console.print(f"reviews    {services.reviews.url}  FastAPI, uvicorn", soft_wrap=True)
    console.print(f"shop       {services.shop.url}  Flask, gunicorn, {WORKERS} pre-forked workers", soft_wrap=True)
    console.print(f"catalog    {services.catalog.url}  Django, gunicorn, {WORKERS} pre-forked workers", soft_wrap=True)
    cache = "the shop's cache" if services.redis else "not installed: the shop runs without its cache"
    console.print(f"redis      {cache}", soft_wrap=True)
    console.print()


def _run(console: Console, services: Services, options: argparse.Namespace) -> int:
    visits = _visit_all(console, services, options)
    services.check()
    with Collected(services.collector.url) as collected, console.status("Waiting for the last spans"):
        collected.wait(visits, checks.arrived, account.expected_traces(visits))
        rows = collected.endpoints()
        silent = collected.wait_for_profiles(PROFILED)
        hottest = collected.hottest(rows, HOTTEST)
        received = collected.received()
        traces = {name: collected.trace(name) for name in {*received, *(visit.trace_id for visit in visits)}}
    problems = [
        *account.visits(visits, traces, received, redis=services.redis),
        *account.tasks(visits, traces),
        *account.totals(visits, rows),
        *account.logs(visits, services.shop.text()),
        *(f"{name}: no profile of it came" for name in silent),
    ]
    console.print(report.endpoints_table(rows, report.mean_spans(traces.values()), console.width))
    console.print()
    _show_sample(console, visits, traces)
    console.print(report.hottest_table(hottest, console.width))
    console.print()
    console.print(f"Viewer     {services.collector.url}/", soft_wrap=True)
    console.print(f"Profiles   {services.collector.url}/profiles", soft_wrap=True)
    console.print()
    if problems:
        report.print_problems(console, problems)
        return 1
    spans = sum(received.values())
    console.print(f"[green]All checks held:[/] {len(visits)} requests, each traced exactly once, {spans:,} spans.")
    return 0


def _visit_all(console: Console, services: Services, options: argparse.Namespace) -> list[Visit]:
    endpoints = mixture(options.requests)
    urls = {
        SHOP: services.shop.url,
        INVENTORY: services.inventory.url,
        REVIEWS: services.reviews.url,
        CATALOG: services.catalog.url,
    }
    answers = drive(endpoints, urls, options.at_once)
    columns = (TextColumn("Requests"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    if console.is_terminal:
        with Progress(*columns, console=console, transient=True) as progress:
            return list(progress.track(answers, total=len(endpoints)))
    visits = []
    for visit in answers:
        visits.append(visit)
        if len(visits) * PLAIN_STEPS // len(endpoints) > (len(visits) - 1) * PLAIN_STEPS // len(endpoints):
            console.print(f"{len(visits)} of {len(endpoints)} requests")
    return visits


def _show_sample(console: Console, visits: Sequence[Visit], traces: dict[str, list[Span]]) -> None:
    """Show the trace of the last visit to the sample's endpoint, if it is there."""
    for visit in reversed(visits):
        roots = [span for span in traces[visit.trace_id] if span.parent_id == visit.span_id]
        if visit.endpoint is SAMPLE and roots:
            console.print(report.trace_tree(visit.trace_id, roots[0], traces[visit.trace_id], console.width))
            console.print()
            return
