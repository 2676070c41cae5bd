"""Runs the examples for clusters on real ones of this machine, and does to them what clusters do.

    apt-get install munge slurm-wlm && python benchmarks/clusters.py slurm
    python benchmarks/clusters.py ray
    python benchmarks/clusters.py kubernetes

The first two start a cluster and a PostgreSQL of their own, work on a small study over a table with
the example as it stands, and take the machine from the workers again and again: jobs signalled,
preempted and stopped, nodes killed. Every trial must then be there once, with the right score. The
third validates the manifest by the schemas of Kubernetes and runs nothing. Ray and the schemas come
from the package index, into an environment of their own. Exits with 1 and says what is wrong if
anything is.
"""

import argparse
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from _cluster_study import ClusterStudy, CourseError, Report
from _ray_cluster import RayCluster
from _ray_course import EXAMPLES, RayCourse
from _slurm import Slurm
from _slurm_course import SlurmCourse

_TRIALS = 240  # enough that there are some left after the last event
_PACKAGES = {"ray": "ray[default]", "kubernetes": "kubernetes-validate"}
_MANIFEST = EXAMPLES / "kubernetes.yaml"


def main() -> int:
    """Run the example of one cluster; return 1 when something is wrong."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("cluster", choices=["slurm", "ray", "kubernetes"])
    parser.add_argument("--trials", type=int, default=_TRIALS, help="of the study (240)")
    parser.add_argument(
        "--environment",
        type=Path,
        help=f"Python environment that has {' or '.join(_PACKAGES.values())}; else one is made",
    )
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that nothing is left behind

    report = Report()
    with tempfile.TemporaryDirectory(prefix="clusters-") as name:
        folder = Path(name)
        environment = options.environment or folder
        try:
            if options.environment is None and options.cluster in _PACKAGES:
                environment = _install(folder, _PACKAGES[options.cluster])
            if options.cluster == "kubernetes":
                validate_manifest(environment, report)
            else:
                run_study(options.cluster, environment, folder, options.trials, report)
        except CourseError as error:
            report.add_problem(str(error))

    report.say(f"problems: {len(report.problems)}")
    return 1 if report.problems else 0


def validate_manifest(environment: Path, report: Report) -> None:
    """Validate the manifest of the examples, strictly: no field that Kubernetes does not know."""
    validator = environment / "bin" / "kubernetes-validate"
    done = subprocess.run(
        [validator, "--strict", _MANIFEST], capture_output=True, text=True, check=False
    )
    report.say((done.stdout + done.stderr).strip().partition("\n")[0])
    report.require(done.returncode == 0, "the manifest is not valid")


def run_study(cluster: str, environment: Path, folder: Path, trials: int, report: Report) -> None:
    """Run a study on one of the clusters.

    Args:
        cluster: `slurm` or `ray`.
        environment: Python environment with Ray.
        folder: takes the files of the study.
        trials: number of its trials.
        report: takes the course and the problems.

    Raises:
        CourseError: the cluster did not do what was waited for.
    """
    with ClusterStudy(folder, trials, report) as study:
        if cluster == "slurm":
            run_slurm(study, report)
        else:
            run_ray(environment, study, report)
        study.check()


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


def _install(folder: Path, package: str) -> Path:
    """Make an environment with a package, and return its folder."""
    environment = folder / "environment"
    subprocess.run([sys.executable, "-m", "venv", environment], check=True)
    python = environment / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "--quiet", package], check=True)
    return environment


if __name__ == "__main__":
    sys.exit(main())
