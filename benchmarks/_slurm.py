"""A Slurm cluster of one node on this machine, from Debian's packages, without systemd."""

import os
import re
import secrets
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Collection, Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil
from _cluster_study import CourseError, wait_for
from _server import find_free_port

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "scontrol", "scancel", "squeue")
"""Programs of the packages `munge` and `slurm-wlm`."""

LOST_SECONDS = 10
"""Seconds after which a node that does not answer is lost; Slurm's default is five minutes."""

_START_SECONDS = 30.0
_GPUS, _CPUS, _MEGABYTES = 2, 16, 131_072  # pretended, so that a few tasks of the example fit

# No accounting and no control groups, which a sandbox lacks. `cred_expire` is also how long a
# requeued task waits before it is started again: two minutes by default.
_CONFIGURATION = """
ClusterName=layer-search
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller}
SlurmdPort={node}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket,cred_expire=5
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
GresTypes=gpu
SlurmdParameters=config_overrides
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
SchedulerParameters=sched_interval=2,bf_interval=2
ReturnToService=2
SlurmdTimeout={lost}
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} RealMemory={memory} Gres=gpu:{gpus}
PartitionName=work Nodes={host} Default=YES PriorityTier=1
PartitionName=urgent Nodes={host} PriorityTier=10 PreemptMode=OFF
"""


class Slurm:
    """A cluster of one node, which pretends to have two GPUs, 16 CPUs and 128 GB.

    Attributes:
        folder: its configuration, state and logs.
        node: name of its node.
    """

    def __init__(self) -> None:
        self.node = socket.gethostname()
        self.folder = Path(tempfile.mkdtemp(prefix="slurm-"))
        self._daemons: dict[str, subprocess.Popen[bytes]] = {}
        self._variables = {**os.environ, "SLURM_CONF": str(self.folder / "slurm.conf")}

    def __enter__(self) -> Self:
        """Write the configuration, start all daemons and wait for the node.

        Raises:
            CourseError: a program is missing, or the node does not come up.
        """
        if missing := [name for name in PROGRAMS if shutil.which(name) is None]:
            message = f"not installed: {', '.join(missing)} (apt-get install munge slurm-wlm)"
            raise CourseError(message)
        try:
            self._configure()
            self._start_munge()
            self._start("slurmctld", "-D")
            self.start_node()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End all jobs and daemons, and remove the folder."""
        self.close()

    def close(self) -> None:
        """End all jobs and daemons, and remove the folder."""
        self._kill_all()
        for daemon in self._daemons.values():
            daemon.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def version(self) -> str:
        """Slurm's name and version."""
        return self.run("scontrol", "--version")

    def start_node(self) -> None:
        """Start the daemon of the node, and wait until the node takes jobs."""
        self._start("slurmd", "-D")
        wait_for(
            lambda: self.field("node", self.node, "State") in ("IDLE", "MIXED", "ALLOCATED"),
            _START_SECONDS,
            f"Slurm's node (see {self.folder}/*.log)",
        )

    def lose_node(self) -> None:
        """Kill the daemon of the node and all that runs on it, as when a machine is lost."""
        self._kill_all(spare=("munged", "slurmctld"))
        self._daemons.pop("slurmd").wait()

    def run(self, *command: object, variables: Mapping[str, str] | None = None) -> str:
        """Run one of Slurm's programs and return its output.

        Raises:
            CourseError: it failed.
        """
        done = subprocess.run(
            list(map(str, command)),
            cwd=self.folder,
            env={**self._variables, **(variables or {})},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            message = f"{' '.join(map(str, command))}: {done.stderr.strip()}"
            raise CourseError(message)
        return done.stdout.strip()

    def field(self, kind: str, name: str, field: str) -> str:
        """Return a field of what `scontrol show` says of a job or node; empty without one."""
        try:
            shown = self.run("scontrol", "--oneliner", "show", kind, name)
        except CourseError:
            return ""
        fields = dict(word.partition("=")[::2] for word in shown.split())
        return fields.get(field, "").partition("*")[0].partition("+")[0]

    def exit_codes(self, job: str) -> set[str]:
        """Return the exit codes of all tasks of a job, each as `code:signal`."""
        shown = self.run("scontrol", "--oneliner", "show", "job", job)
        return set(re.findall(r"\bExitCode=(\S+)", shown))

    def _configure(self) -> None:
        """Write the configuration of the cluster."""
        for name in ("state", "spool"):
            (self.folder / name).mkdir()
        self.folder.chmod(0o755)
        text = _CONFIGURATION.format(
            folder=self.folder,
            host=self.node,
            controller=find_free_port(),
            node=find_free_port(),
            lost=LOST_SECONDS,
            cpus=_CPUS,
            memory=_MEGABYTES,
            gpus=_GPUS,
        )
        (self.folder / "slurm.conf").write_text(text, encoding="utf-8")
        # files that stand for devices: from them Slurm numbers the GPUs that a task may see
        (self.folder / "gres.conf").write_text(
            "Name=gpu File=/dev/null\nName=gpu File=/dev/zero\n", encoding="utf-8"
        )

    def _start_munge(self) -> None:
        """Start the daemon that vouches for Slurm's messages, with a key of its own."""
        key = self.folder / "munge.key"
        key.touch(mode=0o600)
        key.write_bytes(secrets.token_bytes(128))
        places = {"key-file": "key", "socket": "socket", "pid-file": "pid", "log-file": "log"}
        places["seed-file"] = "seed"
        options = [f"--{option}={self.folder}/munge.{end}" for option, end in places.items()]
        self._start("munged", "--foreground", *options)
        wait_for((self.folder / "munge.socket").exists, _START_SECONDS, "munged's socket")

    def _start(self, name: str, *options: str) -> None:
        """Start a daemon in the foreground."""
        with (self.folder / f"{name}.out").open("ab") as log:
            self._daemons[name] = subprocess.Popen(
                [str(shutil.which(name)), *options],
                cwd=self.folder,
                env=self._variables,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def _kill_all(self, spare: Collection[str] = ()) -> None:
        """Kill all processes of this cluster, daemons and jobs, but those with these names."""
        ours: list[psutil.Process] = []
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                is_ours = process.environ().get("SLURM_CONF") == self._variables["SLURM_CONF"]
                if is_ours and process.name() not in spare:
                    # above a job is the daemon that looks after it, whose environment shows nothing
                    ours += [one for one in process.parents() if one.name() == "slurmstepd"]
                    ours.append(process)

        # the daemons first: they would tell the controller how the jobs ended
        for process in sorted(ours, key=lambda one: one.ppid() != 1):
            with suppress(psutil.NoSuchProcess):
                process.kill()
