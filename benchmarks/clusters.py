"""Runs the examples for clusters on real ones of this machine, and does to them what clusters do.

    apt-get install munge slurm-wlm && python benchmarks/clusters.py slurm
    python benchmarks/clusters.py ray

Each starts a cluster and a PostgreSQL of its own, works on a small study over a table with the
example as it stands, and takes the machine from the workers again and again: jobs signalled,
preempted and stopped, nodes killed. Every trial must then be there once, with the right score.
Ray comes from the package index, into an environment of its own. Exits with 1 and says what is
wrong if anything is.
"""

import argparse
import signal
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from _cluster_study import ClusterStudy, CourseError, Report
from _ray_cluster import RayCluster
from _ray_course import RayCourse
from _slurm import Slurm
from _slurm_course import SlurmCourse

_TRIALS = 240  # enough that there are some left after the last event
_RAY = "ray[default]"  # with the server that takes jobs


def main() -> int:
    """Run the example of one cluster; return 1 when something is wrong."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("cluster", choices=["slurm", "ray"])
    parser.add_argument("--trials", type=int, default=_TRIALS, help="of the study (240)")
    parser.add_argument("--ray", type=Path, help=f"environment with {_RAY}; else one is made")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that nothing is left behind

    report = Report()
    with tempfile.TemporaryDirectory(prefix="clusters-") as name, ExitStack() as stack:
        folder = Path(name)
        try:
            study = stack.enter_context(ClusterStudy(folder, options.trials, report))
            if options.cluster == "slurm":
                run_slurm(study, report)
            else:
                run_ray(options.ray or _install_ray(folder), study, report)
            study.check()
        except CourseError as error:
            report.add_problem(str(error))

    report.say(f"problems: {len(report.problems)}")
    return 1 if report.problems else 0


def run_slurm(study: ClusterStudy, report: Report) -> None:
    """Run the job array of the examples.

    Raises:
        CourseError: the cluster did not do what was waited for.
    """
    with Slurm() as slurm:
        report.say(f"{slurm.version}, one node that pretends to have two GPUs")
        study.launch()
        SlurmCourse(slurm, study, report).run()


def run_ray(environment: Path, study: ClusterStudy, report: Report) -> None:
    """Run the Ray job of the examples, with Ray as it is installed in an environment.

    Raises:
        CourseError: the cluster did not do what was waited for.
    """
    with RayCluster(environment, study.variables) as cluster:
        report.say(f"Ray {cluster.version}, nodes that pretend to have GPUs")
        study.launch()
        RayCourse(cluster, study, report).run()


def _install_ray(folder: Path) -> Path:
    """Make an environment with Ray, and return its folder."""
    environment = folder / "ray"
    subprocess.run([sys.executable, "-m", "venv", environment], check=True)
    pip = [environment / "bin" / "python", "-m", "pip", "install", "--quiet", _RAY]
    subprocess.run(pip, check=True)
    return environment


if __name__ == "__main__":
    sys.exit(main())
