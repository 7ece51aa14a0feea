"""``ddmiddleware-run``: its options, and what it changes for the command and the command's children."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from ddmiddleware import __version__, cli, run
from tests.recording_agent import RecordingAgent
from tests.tracer.processes import ROOT, environment

RUN = (sys.executable, "-m", "ddmiddleware", "run")
PYTHON = sys.executable
SHOW = "import sys, flask; print(flask.Flask.__call__.__module__, hasattr(flask.Flask.__call__, '__wrapped__'))"


def execute(*command: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run a command; nothing listens where it sends."""
    variables = environment("http://127.0.0.1:9", **environ)
    return subprocess.run(command, capture_output=True, text=True, env=variables, timeout=60)


@pytest.mark.parametrize("option", ["-h", "--help"])
def test_help(capsys: pytest.CaptureFixture[str], option: str) -> None:
    assert run.main([option]) == 0
    out, err = capsys.readouterr()
    assert out.startswith("usage: ddmiddleware-run ")
    assert all(text in out for text in ("--debug", "--info", "--version", "--help"))
    assert err == ""


@pytest.mark.parametrize("option", ["-v", "--version"])
@pytest.mark.parametrize("main", [run.main, cli.main])
def test_version(capsys: pytest.CaptureFixture[str], main: type[object], option: str) -> None:
    assert main([option]) == 0  # type: ignore[call-arg]
    assert capsys.readouterr().out == f"ddmiddleware {__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        ((), 2, "usage: ddmiddleware-run "),
        (("--nonsense", "true"), 2, "there is no option --nonsense"),
        (("-d",), 2, "usage: ddmiddleware-run "),
        (("no-such-command", "x"), 127, "ddmiddleware-run: no-such-command: command not found\n"),
        (("/nowhere/at/all",), 127, "command not found"),
    ],
)
def test_wrong_use(capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], status: int, said: str) -> None:
    assert run.main(arguments) == status
    out, err = capsys.readouterr()
    assert said in err
    assert out == ""


def test_a_file_that_is_no_program(tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_bytes(b"\x00\x01")
    program.chmod(0o755)
    done = execute(*RUN, str(program))
    assert (done.returncode, done.stderr) == (126, f"ddmiddleware-run: cannot run {program}: Exec format error\n")


def test_info_without_a_collector() -> None:
    done = execute(*RUN, "--info", DD_ENV="test")
    assert done.returncode == 1
    assert done.stdout.startswith(f"ddmiddleware {__version__}, CPython 3.")
    assert "DD_SERVICE = shop  (environment DD_SERVICE)\n" in done.stdout
    assert "DD_ENV = test  (environment DD_ENV)\n" in done.stdout
    assert "DD_TRACE_HTTP_SERVER_ERROR_STATUSES" not in done.stdout, "it is not set"
    assert "collector at http://127.0.0.1:9: Connection refused\n" in done.stdout
    assert done.stdout.endswith("start one with: ddmiddleware collector\n")
    assert done.stderr == ""


@pytest.mark.parametrize(("arguments", "status"), [(("-h",), 0), ((), 2), (("nonsense",), 2)])
def test_the_other_command(capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], status: int) -> None:
    assert cli.main(arguments) == status
    out, err = capsys.readouterr()
    assert "usage: ddmiddleware COMMAND" in (out if status == 0 else err)
    assert ("nonsense" in err) is ("nonsense" in arguments)


def test_the_help_of_info(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["info", "--help"]) == 0
    assert capsys.readouterr().out.startswith("usage: ddmiddleware info\n")
    assert cli.main(["info", "more"]) == 2
    assert capsys.readouterr() == ("", "ddmiddleware info: there is no option more; see ddmiddleware info --help\n")


def test_the_command_is_traced_and_keeps_arguments_and_status() -> None:
    done = execute(*RUN, PYTHON, "-c", SHOW + "; print(sys.argv[1:]); sys.exit(7)", "--debug", "a b", "")
    assert (done.returncode, done.stdout) == (7, "flask.app True\n['--debug', 'a b', '']\n")
    assert done.stderr == ""


def test_options_end_at_two_dashes() -> None:
    assert execute(*RUN, "--", PYTHON, "-c", "print(1)").stdout == "1\n"


def test_a_child_interpreter_is_traced() -> None:
    child = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {SHOW!r}], check=True)"
    assert execute(*RUN, PYTHON, "-c", child).stdout == "flask.app True\n"


def test_a_worker_that_is_spawned_has_the_service_of_the_command(tmp_path: Path) -> None:
    script = tmp_path / "cafe.py"
    script.write_text("""
import multiprocessing
from ddmiddleware import tracer

def show():
    print(tracer.service, flush=True)

if __name__ == "__main__":
    show()
    worker = multiprocessing.get_context("spawn").Process(target=show)
    worker.start()
    worker.join()
""")
    done = execute(*RUN, PYTHON, str(script), DD_SERVICE="")
    assert (done.stdout, done.stderr) == ("cafe\ncafe\n", "")
    done = execute(*RUN, PYTHON, "-c", "from ddmiddleware import tracer; print(tracer.service)", DD_SERVICE="")
    assert done.stdout == "unnamed-python-service\n"


def test_debug_says_what_is_sent() -> None:
    with RecordingAgent() as agent:
        code = "from ddmiddleware import tracer; tracer.trace('a').finish()"
        done = execute(*RUN, "--debug", PYTHON, "-c", code, DD_TRACE_AGENT_URL=agent.url)
        assert len(agent.spans) == 1
    assert f"sent 1 spans in 1 chunks to {agent.url}" in done.stderr


def test_switched_off() -> None:
    done = execute(*RUN, PYTHON, "-c", SHOW, DD_TRACE_ENABLED="false")
    assert (done.stdout, done.stderr) == ("flask.app False\n", "")


def test_pythonpath_is_kept_and_not_grown(tmp_path: Path) -> None:
    code = "import os; print(os.environ['PYTHONPATH'])"
    path = os.pathsep.join((str(ROOT), str(tmp_path), "relative"))
    once = execute(*RUN, PYTHON, "-c", code, PYTHONPATH=path).stdout.strip()
    twice = execute(*RUN, *RUN, PYTHON, "-c", code, PYTHONPATH=path).stdout.strip()
    assert once == twice == os.pathsep.join((str(ROOT / "ddmiddleware" / "_bootstrap"), path))


def test_the_users_own_sitecustomize_runs_once(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text("print('mine', __file__)\nVALUE = 3\n")
    path = os.pathsep.join((str(ROOT), str(tmp_path)))
    code = "import sitecustomize, sys; print(sitecustomize.VALUE, sys.modules['sitecustomize'] is sitecustomize)"
    done = execute(*RUN, PYTHON, "-c", code, PYTHONPATH=path)
    mine = f"mine {tmp_path / 'sitecustomize.py'}\n"
    assert (done.stdout, done.stderr) == (mine + mine + "3 True\n", "")  # the first is that of ddmiddleware-run itself


def test_a_sitecustomize_that_fails_is_reported_as_without_us(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text("raise LookupError('mine')\n")
    path = os.pathsep.join((str(ROOT), str(tmp_path)))
    expected = execute(PYTHON, "-c", SHOW, PYTHONPATH=path)
    done = execute(str(Path(PYTHON).parent / "ddmiddleware-run"), PYTHON, "-c", SHOW, PYTHONPATH=path)
    assert (expected.returncode, done.returncode) == (0, 0)
    assert done.stdout == "flask.app True\n"
    assert done.stderr == expected.stderr * 2
    assert expected.stderr.endswith("LookupError: mine\n")


def test_an_interpreter_without_us_says_so_once(tmp_path: Path) -> None:
    venv.create(tmp_path / "bare", with_pip=False)
    bare = str(tmp_path / "bare" / "bin" / "python")
    child = f"import subprocess; print(1, flush=True); subprocess.run([{bare!r}, '-c', 'print(2)'], check=True)"
    done = execute(str(Path(PYTHON).parent / "ddmiddleware-run"), bare, "-c", child, PYTHONPATH="")
    said = f"ddmiddleware-run: not traced: ddmiddleware is not installed for {bare}\n"
    assert (done.returncode, done.stdout, done.stderr) == (0, "1\n2\n", said)


def test_a_broken_installation_does_not_stop_the_program(tmp_path: Path) -> None:
    """Found where it cannot work: for another Python, say, or half-copied."""
    (tmp_path / "ddmiddleware").mkdir()
    (tmp_path / "ddmiddleware" / "__init__.py").write_text("this is no Python\n")
    bootstrap = str(ROOT / "ddmiddleware" / "_bootstrap")
    child = (
        "import subprocess, sys; print(1, flush=True); subprocess.run([sys.executable, '-c', 'print(2)'], check=True)"
    )
    done = execute(PYTHON, "-c", child, PYTHONPATH=os.pathsep.join((bootstrap, str(tmp_path))))
    assert (done.returncode, done.stdout, done.stderr) == (0, "1\n2\n", "")
    code = (
        f"import os, runpy, sys; sys.path.insert(0, {str(tmp_path)!r});"
        f"os.environ['_DDMIDDLEWARE_RUN'] = str(os.getpid()); runpy.run_path({bootstrap + '/sitecustomize.py'!r})"
    )
    said = "ddmiddleware-run: not traced: ddmiddleware fails (SyntaxError("
    assert execute(PYTHON, "-c", code).stderr.startswith(said)
