#!/bin/sh
# The headline experiment, from an empty folder to its answers; what is finished is found, not done again.
# Some four hours on two CPU cores, by the times of its parts. `kata` must be on the path.
set -eu
cd "$(dirname "$0")"
for task in stack pick_place; do
    [ -e made/$task-10.receipt.json ] || kata collect sim $task --expert --episodes 10 --seed 1 --out made/$task-10
    kata expand made/$task-10 --by demonstrations --episodes 500 --option spec=telling.toml --option clean_actions=true --out made/$task-500
    [ -e made/policy-$task/report.html ] || kata train made/$task-500 --policy small_vla --out made/policy-$task
    kata evaluate made/policy-$task --task $task --trials 100 --seed 5000 --out made/evaluated-$task
done
[ -e made/lift-10.receipt.json ] || kata collect sim lift --expert --episodes 10 --seed 1 --out made/lift-10
kata expand made/lift-10 --by demonstrations --episodes 200 --option spec=telling.toml --option clean_actions=true --out made/lift-200
for study in defects_stack cleaning_stack growth_stack defects_pick_place cleaning_pick_place cleaning_pick_place_200 growth_pick_place cleaning_lift_small_vla; do
    kata study $study.toml --out made/studies/$study
done
