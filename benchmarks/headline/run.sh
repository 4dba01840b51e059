#!/bin/sh
# The headline experiment, from an empty folder to its answers; what is finished is found, not done again.
# Some four hours on two CPU cores, by the times of its parts. `kata` must be on the path.
set -eu
cd "$(dirname "$0")"
for task in stack pick_place; do
    [ -e made/$task-10.receipt.json ] || kata collect sim $task --expert --episodes 10 --seed 1 --out made/$task-10
    kata expand made/$task-10 --by demonstrations --episodes 500 --spec telling.toml --clean-actions --out made/$task-500
    for question in defects cleaning growth; do
        kata study ${question}_$task.toml --out made/studies/${question}_$task
    done
    [ -e made/policy-$task/report.html ] || kata train made/$task-500 --policy small_vla --out made/policy-$task
    kata evaluate made/policy-$task --task $task --trials 100 --seed 5000 --out made/evaluated-$task
done
