#!/bin/bash
# A script for sbatch, as it is: it runs once, on the first node, with the usual SLURM_ variables.
#SBATCH --job-name=slurm-script
#SBATCH --nodes=2
#SBATCH --gres=gpu:cpu-core:1
#SBATCH --time=1
#SBATCH --export=NONE,STEPS=3

echo "job $SLURM_JOB_ID runs on ${SLURM_JOB_NUM_NODES:-?} nodes"
for step in $(seq "$STEPS"); do
	echo "step $step"
	sleep 0.5
done
