"""Running one measured part in a fresh process, and keeping what it cost.

Put here clocks, memory, disk and the file of results. Keep out what a part does (`parts.py`) and what the numbers mean
(`report.py`).
"""

import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
VERSIONS = ("duckdb", "dagster", "great-expectations", "pandas", "scikit-learn", "pyarrow", "sqlglot")
# what tells of figures and makes none
_TELLING = {"report.py", "__main__.py"}
# what a benchmark writes while it measures
_OWN = (":(exclude)benchmarks/results", ":(exclude)benchmarks/README.md")
_MEBIBYTE = 2**20
_RSS_UNIT = 1 if sys.platform == "darwin" else 1024


class PartFailedError(Exception):
    """A measured part ended with an error; the sentence has its last lines."""


@dataclass(frozen=True)
class Measured:
    """One run of one part.

    `wall_s`, `cpu_s` (user and system) and `peak_mb` are those of the whole process, imports included; what a part timed inside
    itself stands in `details`. `peak_mb` is 0 where the part does not tell it. `disk_bytes` is what it left on disk. `machine` and
    `code` (a digest) are what the figure is of: of another machine, or of other code, it is another figure.
    """

    part: str
    size: str
    repeat: int
    wall_s: float
    cpu_s: float
    peak_mb: float
    disk_bytes: int
    at: str
    commit: str
    load_before: float
    details: dict[str, Any] = field(default_factory=dict)
    machine: str = ""
    code: str = ""

    @property
    def of(self) -> tuple[str, str]:
        """The machine and the code of the figure."""
        return self.machine, self.code


def measure(part: str, size: str, repeat: int, command: Sequence[str], leaves: Path | None = None) -> Measured:
    """Run a command in a process of its own and return what it took.

    Args:
        part: what is measured.
        size: of which company.
        repeat: which of the repetitions, from 1.
        command: gets a last argument, the file into which it may write its `details` as JSON; of them `peak_mb` is its peak memory
            (what Linux tells of it from outside is at least the peak of who started it).
        leaves: the folder whose size afterwards counts as bytes on disk.

    Raises:
        PartFailedError: the process ended with another code than 0, or the measured code changed meanwhile.
    """
    of = present()
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as aside:
        result, errors = Path(aside) / "details.json", Path(aside) / "errors"
        began = time.perf_counter()
        with errors.open("w", encoding="utf-8") as told:
            process = subprocess.Popen(  # noqa: S603  # our own commands
                [*command, str(result)], stdout=subprocess.DEVNULL, stderr=told, cwd=ROOT, env=_environment()
            )
            _, status, used = os.wait4(process.pid, 0)
        wall = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            raise PartFailedError(f"{part} at {size} ended with code {process.returncode}: {_tail(errors)}")
        details = json.loads(result.read_text(encoding="utf-8")) if result.exists() else {}
    if present() != of:
        raise PartFailedError(f"{part} at {size}: the code changed while it was measured; measure again")
    return Measured(
        part, size, repeat, wall, used.ru_utime + used.ru_stime, details.pop("peak_mb", 0.0),
        folder_bytes(leaves) if leaves is not None else 0, datetime.now(UTC).isoformat(timespec="seconds"), commit(), load, details,
        *of,
    )  # fmt: skip


def keep(results: Path, measured: Measured) -> None:
    """Append one result to the file of results, so that an interrupted benchmark goes on where it was."""
    results.parent.mkdir(parents=True, exist_ok=True)
    with results.open("a", encoding="utf-8") as file:
        file.write(json.dumps(asdict(measured)) + "\n")


def kept(results: Path) -> list[Measured]:
    """All results of a file, none where there is no file; a line that a killed run left unfinished is passed over."""
    if not results.exists():
        return []
    found: list[Measured] = []
    for line in results.read_text(encoding="utf-8").splitlines():
        try:
            found.append(Measured(**json.loads(line)))
        except json.JSONDecodeError:
            continue
    return found


def newest(measured: Iterable[Measured]) -> list[Measured]:
    """Of each part and size those of one machine and one state of the code, the last that was measured: no median mixes them."""
    found = list(measured)
    last = {(each.part, each.size): each.of for each in found}
    return [each for each in found if each.of == last[each.part, each.size]]


def present() -> tuple[str, str]:
    """What figures depend on, here and now: the machine with its libraries, in words, and a digest of the measured code."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    parts = {
        "cores": str(os.cpu_count()),
        "memory": f"{memory:.1f} GiB",
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "python": platform.python_version(),
        **{name: version(name) for name in VERSIONS},
    }
    digest = sha256()
    for folder in ("milestones_dagster", "benchmarks"):
        for path in sorted((ROOT / folder).rglob("*")):
            if path.suffix in {".py", ".sql", ".yaml"} and path.name not in _TELLING:
                digest.update(path.read_bytes())
    return "; ".join(f"{name} {value}" for name, value in parts.items()), digest.hexdigest()[:16]


def commit() -> str:
    """The commit that is measured, with `+` where files other than its results differ from it; `unknown` outside a repository."""
    try:
        described, changed = _git("describe", "--always"), _git("status", "--porcelain", "--", ".", *_OWN)
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return f"{described}+" if changed else described


def _git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()  # noqa: S603, S607


def folder_bytes(folder: Path) -> int:
    """Bytes of all files in a folder, 0 where it is not there."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


@dataclass
class Spent:
    """Wall and processor seconds of a stretch of this process, all threads; `peak_mb` is the process's peak up to its end."""

    wall_s: float = 0.0
    cpu_s: float = 0.0
    peak_mb: float = 0.0

    def add(self, other: "Spent") -> None:
        """Add another stretch."""
        self.wall_s += other.wall_s
        self.cpu_s += other.cpu_s
        self.peak_mb = max(self.peak_mb, other.peak_mb)


def peak_mb() -> float:
    """The peak of this process's memory, MiB: its own on Linux, whoever started it."""
    import resource

    status = Path("/proc/self/status")
    for line in status.read_text(encoding="utf-8").splitlines() if status.exists() else []:
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _RSS_UNIT / _MEBIBYTE


@contextmanager
def spending() -> Iterator[Spent]:
    """What the block takes; filled in when it ends, also by an error."""
    spent = Spent()
    wall, cpu = time.perf_counter(), time.process_time()
    try:
        yield spent
    finally:
        spent.wall_s, spent.cpu_s = time.perf_counter() - wall, time.process_time() - cpu
        spent.peak_mb = peak_mb()


def _environment() -> Mapping[str, str]:
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    return {**os.environ, "PYTHONPATH": path, "DAGSTER_DISABLE_TELEMETRY": "yes", "GX_ANALYTICS_ENABLED": "false"}


def _tail(path: Path) -> str:
    return " | ".join(path.read_text(encoding="utf-8", errors="replace").splitlines()[-6:])
