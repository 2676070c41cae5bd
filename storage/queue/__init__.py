"""The queue of trials: who holds which trial, and how results reach the store exactly once.

`TrialQueue` is the door for workers, with its records. `enqueue` and `release_host` are actions of
people, which need no worker; `Outbox`, `list_kept`, `remove_kept`, `lease_seconds` and the folders
are of this machine.
"""

from storage.queue.claims import Claim, NewTrial, enqueue
from storage.queue.lease import LEASE_SECONDS, Lease, lease_seconds
from storage.queue.leftovers import KeptFile, list_kept, remove_kept
from storage.queue.local_files import prepared_folder, private_folder, state_folder
from storage.queue.mirroring import UnmirroredTrial
from storage.queue.outbox import Outbox
from storage.queue.release import release_host
from storage.queue.results import Result, TaskResult
from storage.queue.trial_queue import TrialQueue
from storage.queue.worker_id import WorkerId

__all__ = [
    "LEASE_SECONDS",
    "Claim",
    "KeptFile",
    "Lease",
    "NewTrial",
    "Outbox",
    "Result",
    "TaskResult",
    "TrialQueue",
    "UnmirroredTrial",
    "WorkerId",
    "enqueue",
    "lease_seconds",
    "list_kept",
    "prepared_folder",
    "private_folder",
    "release_host",
    "remove_kept",
    "state_folder",
]
