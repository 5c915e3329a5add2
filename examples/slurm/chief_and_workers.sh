#!/bin/bash
# A search whose trials are trained by tasks of Slurm: keras-tuner's chief on
# the first node, and one worker a task. Needs nothing but keras_evonas.
#
#   sbatch examples/slurm/chief_and_workers.sh examples/workers.py \
#       --executor=in_process --directory=/shared/searches
#
# The directory is one that all nodes see. Submit the same line again to go on
# with a search that ran out of time. The chief's port has no authentication:
# who can reach the node can change the search.
#SBATCH --job-name=search
#SBATCH --ntasks=2
#SBATCH --cpus-per-task=4
#SBATCH --time=04:00:00
# And where there are GPUs, one for each worker:
# #SBATCH --gpus-per-task=1
set -euo pipefail

export KERASTUNER_ORACLE_IP=${KERASTUNER_ORACLE_IP:-$(hostname)}
export KERASTUNER_ORACLE_PORT=${KERASTUNER_ORACLE_PORT:-$((20000 + SLURM_JOB_ID % 20000))}

# The chief proposes and keeps the record. It trains nothing: no GPU.
CUDA_VISIBLE_DEVICES=-1 KERASTUNER_TUNER_ID=chief python "$@" &
chief=$!

# Slurm gives each task a number, from 0 on.
srun bash -c 'KERASTUNER_TUNER_ID=worker$SLURM_PROCID exec python "$@"' task "$@"
wait "$chief"
