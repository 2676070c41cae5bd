r"""Workers on a Ray cluster: a job that starts one worker on each GPU.

Launch the study once, where its file and its data are. Then send workers; what follows the script
is handed to `layer-search work`:

    ray job submit --address http://ray.example:8265 --working-dir examples \
        --runtime-env-json '{"env_vars": {
            "LAYER_SEARCH_STORE": "postgresql://search@db.example/search", "PGPASSWORD": "..."}}' \
        -- python ray_job.py mmbert-small

`layer-search` must be installed on the nodes. A study whose model and data are local paths needs
`--folder`, on a file system that all nodes see.
"""

import subprocess
import sys

import ray


@ray.remote(num_gpus=1, max_retries=-1)  # a worker whose node is lost starts again on another
def work(arguments: list[str]) -> int:
    """One worker, until the study is done, on the GPU that Ray shows to it alone."""
    with subprocess.Popen(["layer-search", "work", *arguments]) as worker:
        try:
            return worker.wait()
        finally:
            worker.terminate()  # when Ray cancels this task, the trial is given back


if __name__ == "__main__":
    ray.init()
    workers = int(ray.cluster_resources().get("GPU", 0))
    if not workers:
        sys.exit("this cluster has no GPU")
    codes = ray.get([work.remote(sys.argv[1:]) for _ in range(workers)])
    sys.exit(1 if any(codes) else 0)
