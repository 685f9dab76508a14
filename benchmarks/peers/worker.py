"""The process of a peer: pulls a list for each line of stdin, and prints the time and memory that it took.

All peers import this module, so it uses only the standard library.
"""

from __future__ import annotations

import json
import os
import re
import resource
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True)
class Job:
    """What to pull.

    :param url: the base URL of the list; the endpoint is ``items``
    :param path: the file to write, or the folder if the peer chooses the file's name; the suffix is the format. If it
        ends in a slash, a folder of parts
    :param concurrency: the number of pages to fetch at the same time
    :param incremental: whether to read the mark of each row
    """

    url: str
    path: str
    concurrency: int = 1
    incremental: bool = False


@dataclass(frozen=True)
class Result:
    """The time and memory that a job took.

    :param seconds: by the clock
    :param processor: processor seconds, including those of processes that it started
    :param memory: peak memory of the process, in bytes
    """

    seconds: float
    processor: float
    memory: int


def processor() -> float:
    """Return the processor seconds of this process and of its ended children."""
    usages = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def peak_memory() -> int:
    """Return the peak resident memory of this process in bytes. Unlike ru_maxrss, it does not count the parent's."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found is not None
    return int(found[1]) * 1024


def serve(pull: Callable[[Job], None]) -> None:
    """Run ``pull`` for each line of stdin. Everything else that this process prints goes to stderr."""
    results = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for line in sys.stdin:
        job = Job(**json.loads(line))
        begun, used = time.perf_counter(), processor()
        pull(job)
        result = Result(time.perf_counter() - begun, processor() - used, peak_memory())
        print(json.dumps(asdict(result)), file=results, flush=True)
