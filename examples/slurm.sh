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
#SBATCH --signal=B:TERM@60 # a minute before the time is up, the worker gives its trial back
#SBATCH --requeue          # a preempted task comes back, and joins again
#SBATCH --output=layer-search-%A_%a.log

: "${LAYER_SEARCH_STORE:?set it to the URL of the store, for example postgresql://search@db.example/search}"

# instead of this shell, so that Slurm's signals reach the worker
exec layer-search work "$@"
