r"""Workers on a Ray cluster: a job that starts one worker on each GPU, or on every few CPUs.

Launch the study once, where its file and its data are. Then send workers; what follows the script
is handed to `layer-search work`:

    ray job submit --address http://ray.example:8265 --working-dir examples \
        --runtime-env-json '{"env_vars": {
            "LAYER_SEARCH_STORE": "postgresql://search@db.example/search", "PGPASSWORD": "..."}}' \
        -- python ray_job.py mmbert-small

On a cluster without GPUs a worker gets four CPUs of a node, or as many as `--cpus` says.
`layer-search` must be installed on the nodes, which run Linux. A study whose model and data are
local paths needs `--folder`, on a file system that all nodes see.
"""

import argparse
import subprocess
import sys

import ray

# When Ray stops a job or loses a node it kills the task and its child without warning (SIGKILL).
# That child is a shell: the kernel then sends SIGTERM to the worker, which gives its trial back.
WORK = 'setpriv --pdeathsig TERM layer-search work "$@"; exit $?'
COMMAND = ("setpriv", "--pdeathsig", "KILL", "sh", "-c", WORK, "sh")


@ray.remote(max_retries=-1)  # a worker whose node is lost starts again on another
def work(arguments: list[str]) -> int:
    """One worker, until the study is done, on the devices that Ray shows to it alone."""
    with subprocess.Popen([*COMMAND, *arguments], start_new_session=True) as worker:
        try:
            return worker.wait()
        finally:
            worker.kill()  # when Ray cancels this task


def share(cpus: int) -> tuple[int, dict[str, int]]:
    """Return the number of workers, and the resources of each: a GPU, or so many CPUs."""
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    gpus = sum(int(node.get("GPU", 0)) for node in nodes)
    if gpus:
        return gpus, {"num_gpus": 1}
    return sum(int(node.get("CPU", 0)) // cpus for node in nodes), {"num_cpus": cpus}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("--cpus", type=int, default=4, help="of a worker without a GPU (4)")
    options, arguments = parser.parse_known_args()
    if options.cpus < 1:
        parser.error("--cpus: give at least 1")

    ray.init()
    workers, resources = share(options.cpus)
    if not workers:
        sys.exit(f"no node of this cluster has a GPU or {options.cpus} CPUs: see --cpus")
    codes = ray.get([work.options(**resources).remote(arguments) for _ in range(workers)])
    sys.exit(1 if any(codes) else 0)
