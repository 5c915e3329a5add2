"""The threads in which members are trained."""

import os
from concurrent.futures import ThreadPoolExecutor


def worker_pool() -> ThreadPoolExecutor:
    """Makes a pool with a thread for each processor of this process."""
    count = os.cpu_count() or 1
    if hasattr(os, "sched_getaffinity"):
        count = len(os.sched_getaffinity(0))
    return ThreadPoolExecutor(count, thread_name_prefix="cohort")
