#!/bin/bash
# Workers on a Slurm cluster: a job array of which every task is one worker on one GPU.
#
# Launch the study once, where its file and its data are; `launch` can be stopped with Ctrl-C as soon
# as the first trial has begun:
#
#     export LAYER_SEARCH_STORE=postgresql://search@db.example/search
#     layer-search launch examples/mmbert-small.toml
#
# Then send workers. What follows the script is handed to `layer-search work`:
#
#     sbatch --array=1-16 examples/slurm.sh mmbert-small
#     sbatch examples/slurm.sh mine --folder "$HOME/mine"
#     sbatch --gres=none examples/slurm.sh mmbert-small      # on CPUs
#
# A study whose model and data are local paths needs --folder, on a file system that all nodes see.
# The password of the store belongs in ~/.pgpass or PGPASSWORD, not into the URL.
#
#SBATCH --job-name=layer-search
#SBATCH --array=1-8
#SBATCH --gres=gpu:1
#SBATCH --cpus-per-task=4
#SBATCH --mem=32G
#SBATCH --time=12:00:00
#SBATCH --signal=B:USR1@60 # a minute before the time is up, see below
#SBATCH --requeue          # a preempted task, or one whose node is lost, comes back and joins again
#SBATCH --open-mode=append # to the log of its earlier times
#SBATCH --output=layer-search-%A_%a.log

: "${LAYER_SEARCH_STORE:?set it to the URL of the store, for example postgresql://search@db.example/search}"

layer-search work "$@" &
worker=$!

# its time is nearly up, or somebody said `scancel --batch --signal=USR1`: come back later
trap 'signalled=yes later=yes; kill -TERM "$worker"' USR1
# preempted or cancelled: Slurm tells the worker too, which gives its trial back; wait for it
trap 'signalled=yes' TERM

later=
while
    signalled=
    wait "$worker" # until it ends, or until a signal comes
    code=$?
    [[ $signalled ]]
do :; done

if [[ $later && $code != 0 ]]; then # 0: the study is done
    scontrol requeue "${SLURM_ARRAY_JOB_ID}_${SLURM_ARRAY_TASK_ID}"
fi
exit "$code"
