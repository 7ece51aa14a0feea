"""What is built is what users get: the wheel and the sdist, their content, and that they install and import."""

import os
import pathlib
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile

import pytest

ROOT = pathlib.Path(__file__).parent.parent
COMPILER = shutil.which((os.environ.get("CC") or sysconfig.get_config_var("CC") or "none").split()[0]) is not None
pytestmark = pytest.mark.timeout(300)


def run(*command, **options):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, **options)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="session")
def built(tmp_path_factory):
    """The wheel and the sdist of the files that git has, or would have."""
    source = tmp_path_factory.mktemp("source")
    names = run("git", "ls-files", "--cached", "--others", "--exclude-standard", cwd=ROOT).split("\n")
    for name in filter(None, names):
        if (ROOT / name).is_symlink():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).symlink_to((ROOT / name).readlink())
        elif (ROOT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes((ROOT / name).read_bytes())
    out = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--outdir", out, source)  # the wheel is built from the sdist
    return {"wheel": next(out.glob("*.whl")), "sdist": next(out.glob("*.tar.gz"))}


def test_wheel_holds_one_package(built):
    names = zipfile.ZipFile(built["wheel"]).namelist()
    assert {name.split("/")[0] for name in names if ".dist-info/" not in name} == {"ddmiddleware"}
    for needed in (
        "ddmiddleware/py.typed",
        "ddmiddleware/_bootstrap/sitecustomize.py",
        "ddmiddleware/tracing/export/worker.py",
        "ddmiddleware/tracing/propagation/tracecontext.py",
        "ddmiddleware/integrations/redis.py",
        "ddmiddleware/profiling/__init__.py",
        "ddmiddleware/collector/__main__.py",
    ):
        assert needed in names
    for folder in ("templates", "static"):
        inside = f"ddmiddleware/collector/{folder}/"
        shipped = {name.removeprefix(inside) for name in names if name.startswith(inside)}
        assert shipped == {path.name for path in (ROOT / "collector" / folder).iterdir()}


def accelerators(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    assert not [name for name in names if name.endswith((".c", ".h"))]
    modules = ("tracing/_accelerator", "profiling/_locks", "profiling/_memory", "profiling/_tick")
    compiled = tuple(f"ddmiddleware/{module}." for module in modules)
    return [name for name in names if name.startswith(compiled) and name[-4:] != ".pyi"]


def test_sdist_builds_without_links(built):
    with tarfile.open(built["sdist"]) as archive:
        names = archive.getnames()
    for room, module in (("tracer", "span.py"), ("profiler", "stacks.py")):
        shipped = {name.split(f"/{room}/")[1] for name in names if f"/{room}/" in name}
        assert {module, *(path.name for path in (ROOT / room).glob("*.[ch]"))} <= shipped
    sampler = COMPILER and sys.platform == "linux" and sys.version_info < (3, 14)
    assert len(accelerators(built["wheel"])) == COMPILER + 3 * sampler


def test_without_a_compiler_it_is_pure_python(built, tmp_path):
    environment = {**os.environ, "CC": "/bin/false"}
    run(sys.executable, "-m", "pip", "wheel", "--no-deps", "-w", tmp_path, built["sdist"], env=environment)
    wheel = next(tmp_path.glob("*.whl"))
    assert not accelerators(wheel)
    check_installed(wheel, tmp_path, False)


def test_requirements(built):
    wheel = zipfile.ZipFile(built["wheel"])
    metadata = wheel.read(next(name for name in wheel.namelist() if name.endswith("METADATA"))).decode()
    required = [line for line in metadata.splitlines() if line.startswith("Requires-Dist:") and "extra ==" not in line]
    assert [line.split()[1].split(">")[0] for line in required] == ["msgpack", "wrapt"]


def test_installed_wheel(built, tmp_path):
    check_installed(built["wheel"], tmp_path, COMPILER)


def check_installed(wheel, tmp_path, accelerated):
    """In an empty environment it imports, traces, and brings no bare name of a room; its size is within the budget."""
    venv.create(tmp_path / "env", with_pip=True)
    python = tmp_path / "env" / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    run(python, "-m", "pip", "install", "--quiet", "--no-compile", wheel)
    check = """
import importlib.util, sys
import ddmiddleware
from ddmiddleware import tracer, patch_all
import ddmiddleware.tracing, ddmiddleware.integrations, ddmiddleware.profiling, ddmiddleware.collector
patch_all()
with tracer.trace("one") as span:
    pass
assert span.finished
from ddmiddleware.tracing.accelerator import accelerator
assert (accelerator is not None) == ACCELERATED
for room in ("tracer", "integrations", "profiler", "collector"):
    assert importlib.util.find_spec(room) is None, room
import pathlib
files = pathlib.Path(ddmiddleware.__file__).parent.rglob("*.*")
print(sum(path.stat().st_size for path in files if path.suffix != ".pyc"))
"""
    check = check.replace("ACCELERATED", repr(accelerated))
    size = run(python, "-W", "error", "-c", check, cwd=tmp_path, env={"DD_TRACE_AGENT_URL": "http://127.0.0.1:1"})
    assert int(size) < 1_500_000  # msgpack's and wrapt's own binaries are 2.6 MB and not ours to change
    missing = subprocess.run([python, "-m", "ddmiddleware", "collector"], capture_output=True, text=True, cwd=tmp_path)
    assert missing.returncode == 1
    assert "ddmiddleware[collector]" in missing.stderr
