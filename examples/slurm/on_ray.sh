#!/bin/bash
# A search whose networks are trained on a Ray cluster that lives as long as
# the job. Needs the extra [ray]. Only the first node needs the directory.
#
#   sbatch examples/slurm/on_ray.sh examples/workers.py \
#       --executor=ray --address=auto --workers=8
#
# Submit the same line again to go on with a search that ran out of time.
#SBATCH --job-name=search
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=4
#SBATCH --time=04:00:00
# And where there are GPUs, which Ray finds:
# #SBATCH --gpus-per-node=4
set -euo pipefail

head=${RAY_HEAD:-$(hostname)}
port=${RAY_PORT:-$((20000 + SLURM_JOB_ID % 20000))}
export RAY_ADDRESS=$head:$port
# Without a token, who can reach the node can run programs on it. Slurm passes
# the variables on to its tasks. Ray 2.52 or newer.
export RAY_AUTH_MODE=token
RAY_AUTH_TOKEN=$(python -c 'import secrets; print(secrets.token_hex(32))')
export RAY_AUTH_TOKEN

await_head() {
  until (: <"/dev/tcp/$1/$2") 2>/dev/null; do sleep 1; done
}
export -f await_head

# One part of the cluster a node; the first is the head.
srun bash -c '
  if [ "$SLURM_PROCID" = 0 ]; then
    where="--head --node-ip-address=$1 --port=$2 --include-dashboard=false"
  else
    await_head "$1" "$2"
    where="--address=$1:$2"
  fi
  exec ray start $where --num-cpus="$SLURM_CPUS_PER_TASK" --block
' task "$head" "$port" >"ray-$SLURM_JOB_ID.log" 2>&1 &
cluster=$!
trap 'kill "$cluster"; wait "$cluster" || true' EXIT

await_head "$head" "$port"
python "$@"
