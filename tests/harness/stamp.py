"""stamp.py FILE: copies stdin to stdout and notes in FILE, for each read, how many bytes have come and when."""
from __future__ import annotations

import contextlib
import os
import sys
import time

CHUNK = 1 << 16


def main() -> None:
    # What is measured is when a line is there to be read, not how long this reader then waits for a CPU.
    with contextlib.suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    with open(sys.argv[1], "wb", buffering=0) as stamps:
        total = 0
        while data := os.read(0, CHUNK):
            now = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
            total += len(data)
            stamps.write(b"%d %d\n" % (total, now))
            while data:
                data = data[os.write(1, data) :]


main()
