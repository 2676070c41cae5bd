"""The Slurm example on a real Slurm: tasks that come back from whatever happens to them."""

from collections import Counter
from pathlib import Path

from _cluster_study import ClusterStudy, Report, wait_for
from _slurm import LOST_SECONDS, Slurm

EXAMPLE = Path(__file__).resolve().parents[1] / "examples" / "slurm.sh"

_TRIALS = 240
_GIVEN_BACK_SECONDS = 30.0  # on a busy machine; far less than the two minutes of a lease
_NOTICED_SECONDS = 90.0  # Slurm looks at times and priorities once in a while
_BACK_SECONDS = 90.0  # until a requeued task holds a trial again
_END_SECONDS = 600.0


class SlurmCourse:
    """The events on a Slurm cluster, one after another.

    Args:
        slurm: the cluster.
        study: the study that the tasks work on.
        report: takes the course.
    """

    def __init__(self, slurm: Slurm, study: ClusterStudy, report: Report) -> None:
        self._slurm = slurm
        self._study = study
        self._report = report
        self._jobs: list[str] = []

    def run(self) -> None:
        """Send the tasks, do to them what clusters do, and wait until all have ended.

        Raises:
            CourseError: the cluster did not do what was waited for.
        """
        array = self._submit("--array=1-2")
        self._study.wait_for_workers(2)
        self._report.say("the array runs: two tasks, a GPU each, both hold trials")
        self._submit("--array=1", "--gres=none")
        self._study.wait_for_workers(3)
        self._report.say("a task without a GPU joined with --gres=none")

        self._signal(array)
        self._run_out_of_time(array)
        self._preempt()
        self._lose_node()
        self._finish()

    def _submit(self, *options: str) -> str:
        """Submit the example as it stands, and return the number of the job."""
        command = ["sbatch", "--parsable", *options, EXAMPLE, self._study.name]
        self._jobs.append(self._slurm.run(*command, variables=self._study.variables))
        return self._jobs[-1]

    def _signal(self, array: str) -> None:
        """Send one task the signal that precedes the end of its time."""
        before = self._study.ends()
        self._slurm.run("scancel", "--batch", "--signal=USR1", f"{array}_1")
        self._wait_for_requeue(f"{array}_1", _GIVEN_BACK_SECONDS)
        self._expect_return(before, "scancel --batch --signal=USR1")

    def _run_out_of_time(self, array: str) -> None:
        """Let the time of one task run out."""
        before, task = self._study.ends(), f"{array}_2"
        self._slurm.run("scontrol", "update", f"JobId={task}", "TimeLimit=1")
        self._wait_for_requeue(task, _NOTICED_SECONDS)
        self._slurm.run("scontrol", "update", f"JobId={task}", "TimeLimit=720")
        self._expect_return(before, "the time of a task was nearly up")

    def _preempt(self) -> None:
        """Send a job that needs the whole node and comes first."""
        before = self._study.ends()
        urgent = ("--partition=urgent", "--exclusive", "--output=/dev/null", "--wrap=sleep 5")
        job = self._slurm.run("sbatch", "--parsable", *urgent)
        wait_for(
            lambda: self._slurm.field("job", job, "JobState") in ("RUNNING", "COMPLETED"),
            _NOTICED_SECONDS,
            "the job that preempts runs",
        )
        self._expect_return(before, "preempted by a job of a higher priority")

    def _wait_for_requeue(self, task: str, seconds: float) -> None:
        """Wait until Slurm has requeued a task."""
        wait_for(
            lambda: self._slurm.field("job", task, "JobState") == "PENDING",
            seconds,
            f"{task} is requeued",
        )

    def _expect_return(self, before: Counter[str], what: str) -> None:
        """Report trials that were not given back, and wait until their tasks are at work again."""
        self._study.expect_given_back(before, what)
        self._study.wait_for_workers(3, _BACK_SECONDS)
        self._report.say("... and all three tasks are back, and hold trials")

    def _lose_node(self) -> None:
        """Lose the node, and let it come back."""
        before, workers = self._study.ends(), self._study.workers()
        self._slurm.lose_node()
        wait_for(
            lambda: self._slurm.field("node", self._slurm.node, "State") == "DOWN",
            6 * LOST_SECONDS,
            "Slurm notices that the node is lost",
        )
        self._slurm.start_node()
        wait_for(
            lambda: not workers & self._study.workers(), _BACK_SECONDS, "lost trials are taken over"
        )
        self._study.wait_for_workers(3, _BACK_SECONDS)

        died = self._study.ends()["died"] - before["died"]
        self._report.say(f"the node was lost: attempts that died with it: {died}")
        self._report.say("... and all three tasks are back, and hold trials")

    def _finish(self) -> None:
        """Wait until the study is done and every task has ended by itself."""
        wait_for(lambda: not self._slurm.run("squeue", "--noheader"), _END_SECONDS, "all tasks end")
        self._report.say("the queue is empty")
        for job in self._jobs:
            codes = self._slurm.exit_codes(job)
            self._report.require(codes == {"0:0"}, f"tasks of job {job} ended with {codes}")
