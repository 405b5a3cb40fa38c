"""Runs the jobs of lines in several processes.

Put here what divides the work. Keep out what is measured (`lines/`) and how it is shown (`table.py`).
"""

import multiprocessing
import os
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from tests.proving.score import Job, Line, Record, Row


@dataclass(frozen=True)
class Proof:
    """The rows of one line, and the processor seconds that it took."""

    line: Line
    rows: list[Row]
    seconds: float


def timed(job: Job) -> tuple[list[Record], float]:
    """Return what a job returns, and its processor seconds."""
    start = time.process_time()
    return job.function(*job.arguments), time.process_time() - start


def prove(lines: list[Line], *, is_quick: bool, jobs: int, console: Console, every: int = 1) -> list[Proof]:
    """Return the rows of every line; the jobs of all are run together, so many at a time, every so-manieth of them alone."""
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        # one thread per process: the processes share the machine already
        os.environ.setdefault(name, "1")
    work = [(line, job) for line in lines for job in list(line.jobs(is_quick=is_quick))[::every]]
    done: dict[int, tuple[list[Record], float]] = {}
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    context = multiprocessing.get_context("spawn")
    with Progress(*columns, console=console) as bar, ProcessPoolExecutor(jobs, mp_context=context) as pool:
        shown = {line.name: bar.add_task(line.name, total=sum(found is line for found, _ in work)) for line in lines}
        waiting = {pool.submit(timed, job): number for number, (_, job) in enumerate(work)}
        for finished in as_completed(waiting):
            number = waiting[finished]
            done[number] = finished.result()
            bar.advance(shown[work[number][0].name])
    proofs = []
    for line in lines:
        numbers = [number for number, (found, _) in enumerate(work) if found is line]
        records = [record for number in numbers for record in done[number][0]]
        proofs.append(Proof(line, line.rows(records), sum(done[number][1] for number in numbers)))
    return proofs
