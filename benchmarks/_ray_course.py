"""The Ray example on a real Ray: with CPUs and with GPUs, nodes lost and jobs stopped meanwhile."""

from pathlib import Path

import psutil
from _cluster_study import ClusterStudy, Report
from _ray_cluster import Node, RayCluster

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"

_GIVEN_BACK_SECONDS = 30.0  # on a busy machine; far less than the two minutes of a lease
_BACK_SECONDS = 300.0  # until Ray has noticed that a node is lost, and started its task elsewhere
_END_SECONDS = 600.0


class RayCourse:
    """The events on a Ray cluster, one after another.

    Args:
        ray: the cluster.
        study: the study that the workers work on.
        report: takes the course.
    """

    def __init__(self, ray: RayCluster, study: ClusterStudy, report: Report) -> None:
        self._ray = ray
        self._study = study
        self._report = report

    def run(self) -> None:
        """Run the job on CPUs and stop it, then on GPUs until it ends by itself.

        Raises:
            CourseError: the cluster did not do what was waited for.
        """
        first, _ = self._ray.add_node(cpus=1), self._ray.add_node(cpus=2)
        job = self._submit("--cpus", "1")
        self._study.wait_for_workers(3, _BACK_SECONDS)
        self._report.say("a node with one CPU and one with two: three workers hold trials")
        self._lose(first, left=2, cpus=1)
        self._stop(job)

        third, _ = (self._ray.add_node(cpus=1, gpus=1) for _ in range(2))
        job = self._submit()
        self._study.wait_for_workers(2, _BACK_SECONDS)
        self._report.say("two nodes with a GPU each: two workers hold trials")
        self._lose(third, left=1, cpus=1, gpus=1)

        status = self._ray.end(job, _END_SECONDS)
        self._report.require(status == "succeeded", f"the job ended as {status}")
        self._report.say(f"the job ended by itself: {status}")

    def _submit(self, *options: str) -> str:
        """Submit the example as it stands, and return the name of the job."""
        return self._ray.submit(EXAMPLES, "python", "ray_job.py", *options, self._study.name)

    def _lose(self, node: Node, left: int, **resources: int) -> None:
        """Lose a node, and add another one."""
        before, workers = self._study.ends(), self._ray.find_workers(node)
        self._report.require(len(workers) == 1, f"workers on a node: {len(workers)}, not 1")
        self._ray.lose_node(node)
        _, alive = psutil.wait_procs(workers, _GIVEN_BACK_SECONDS)
        self._report.require(not alive, "a worker outlived its node")
        self._study.expect_given_back(before, "the raylet of a node was killed")

        self._study.wait_for_workers(left)
        self._ray.add_node(**resources)
        self._study.wait_for_workers(left + 1, _BACK_SECONDS)
        self._report.say(f"... {left} went on; Ray has started the lost one on a new node")

    def _stop(self, job: str) -> None:
        """Stop the job."""
        before, workers = self._study.ends(), self._ray.find_workers()
        self._ray.stop(job)
        _, alive = psutil.wait_procs(workers, _GIVEN_BACK_SECONDS)
        self._report.require(not alive, f"workers that outlived their job: {len(alive)}")
        self._study.expect_given_back(before, "ray job stop")
