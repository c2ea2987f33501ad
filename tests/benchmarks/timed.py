"""Run a command and print what it took: seconds, KiB at its peak, seconds of processor time, exit code.

Linux counts into a process's peak what the process that started it had: that has to be a small one, as this is.
"""

import os
import subprocess
import sys
import time

began = time.perf_counter()
process = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
_, status, usage = os.wait4(process.pid, 0)
wall_s = time.perf_counter() - began
print(wall_s, usage.ru_maxrss, usage.ru_utime + usage.ru_stime, os.waitstatus_to_exitcode(status))  # noqa: T201
process.returncode = os.waitstatus_to_exitcode(status)
