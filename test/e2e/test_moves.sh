#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# test_moves.sh: jobs of a real daemon are moved to faster cards: one to cards that came free, two to each other's. Each is told to
# save its work, goes on from it there, and knows that it does; and a daemon that is killed meanwhile finishes it.
. "$(dirname "$0")/lib.sh"

cat >"$pool" <<'END'
pool: moves
kinds:
  fast-card: {vendor: test, class: general, memory_gib: 16}
  slow-card: {vendor: test, class: general, memory_gib: 16}
  far-card: {vendor: test, class: general, memory_gib: 16}
centres:
  - name: here
    region: test
    engine: {type: local}
    nodes:
      - {count: 1, kind: fast-card, cards: 2, cpus: 64, memory_gib: 64}
      - {count: 1, kind: slow-card, cards: 2, cpus: 64, memory_gib: 64}
  - name: there
    region: test
    engine: {type: local}
    nodes:
      - {count: 1, kind: far-card, cards: 1, cpus: 64, memory_gib: 64}
END
cat >"$work/config.yaml" <<'END'
policy: las
kill_grace: 20s
move: {after: 2s, least: 0s}
END

. "$(dirname "$0")/lib-cli.sh"

# trains NAME SPEED [SECONDS]: a job file of one that may be moved; on slow cards it has that speed. It takes so long to save its work.
trains() {
	job "$1" 'resources: {accelerators: {fast-card: 2, slow-card: 2}, relative_speed: {fast-card: 1.0, slow-card: '"$2"'}}' 'time: 1h' \
		'preemptible_after: 0s' 'checkpoint: {every: 1s}' 'recovery: {max_restarts: 0}' 'run: |' \
		"  trap 'sleep ${3:-0}; echo saved; exit 0' TERM" '  echo "attempt $SUAN_ATTEMPT"; sleep 300 & wait'
}

if ! start_daemon "$pool" --config "$work/config.yaml"; then
	ok "the daemon starts" 1
	finish
fi

# ---- One alone ----

job first 'resources: {accelerators: fast-card:2}' 'time: 1h' 'run: sleep 300'
run "a job on the fast cards" 0 submit "$work/first.yaml"
first=$(cat "$work/out1")
trains slow 0.4
run "another has to take slow ones" 0 submit "$work/slow.yaml"
slow=$(cat "$work/out1")
becomes "$slow" .native_state running
becomes "$slow" '.placement[0].node' 1
sleep 3
is "it stays there" "$(suan job "$slow" --json | jq -c '[.attempt, .state]')" '[1,"active"]'
run "the first ends" 0 cancel "$first"
becomes "$slow" .attempt 2
becomes "$slow" .native_state running
becomes "$slow" '.placement[0].node' 0
run "its first attempt" 0 logs "$slow" --attempt 1
is "was told to save its work" "$(cat "$work/out1")" $'attempt 1\nsaved'
run "its second" 0 logs "$slow"
is "knows that it is that" "$(cat "$work/out1")" "attempt 2"
run "end it" 0 cancel "$slow"
run "it ends" 1 wait "$slow"

# ---- One that goes to another centre: what it wrote at the first is still to be had ----

run "a job on the fast cards" 0 submit "$work/first.yaml"
first=$(cat "$work/out1")
job far 'resources: {accelerators: {fast-card: 1, far-card: 1}, relative_speed: {fast-card: 1.0, far-card: 0.4}}' 'time: 1h' \
	'preemptible_after: 0s' 'checkpoint: {every: 1s}' 'recovery: {max_restarts: 0}' 'run: |' \
	"  trap 'echo saved; exit 0' TERM" '  echo "attempt $SUAN_ATTEMPT"; sleep 300 & wait'
run "another has to go elsewhere" 0 submit "$work/far.yaml"
far=$(cat "$work/out1")
becomes "$far" .native_state running
becomes "$far" .centre there
run "the first ends" 0 cancel "$first"
becomes "$far" .attempt 2
becomes "$far" .native_state running
becomes "$far" .centre here
run "its first attempt, at the other centre" 0 logs "$far" --attempt 1
is "is to be had" "$(cat "$work/out1")" $'attempt 1\nsaved'
run "its second" 0 logs "$far"
is "is that" "$(cat "$work/out1")" "attempt 2"
run "one that it never had" 1 logs "$far" --attempt 3
run "end it" 0 cancel "$far"
run "it ends" 1 wait "$far"

# ---- Two that change places; one takes its time, and the daemon is killed meanwhile ----

trains little 0.9 4
run "one that gains little takes the fast cards" 0 submit "$work/little.yaml"
little=$(cat "$work/out1")
becomes "$little" .native_state running
trains much 0.3
run "one that gains much gets slow ones" 0 submit "$work/much.yaml"
much=$(cat "$work/out1")
becomes "$much" .native_state running
becomes "$much" .state queued
is "it is being moved" "$(suan job "$much" --json | jq -r .cause)" moved
run "what it wrote, while it waits" 0 logs "$much"
is "is to be had" "$(cat "$work/out1")" $'attempt 1\nsaved'
run "it is said why it doesn't run" 0 explain "$much"
said "it is on its way" 'being moved'
kill_daemon
start_daemon "$pool" --config "$work/config.yaml"
ok "the daemon comes back" $?
becomes "$much" .attempt 2
becomes "$little" .attempt 2
becomes "$much" '.placement[0].node' 0
becomes "$little" '.placement[0].node' 1
becomes "$little" .native_state running
for job in "$little" "$much"; do
	run "end it" 0 cancel "$job"
	run "it ends" 1 wait "$job"
done

stop_daemon
is "it stops when it is told" $? 0
run "the record" 0 journal cat --state "$state"
is "who was moved" "$(jq -c 'select(.type == "moving") | [.moves[] | [.job, .kind]]' "$work/out1")" \
	"[[$slow,\"fast-card\"]]
[[$far,\"fast-card\"]]
[[$much,\"fast-card\"],[$little,\"slow-card\"]]"
is "each was stopped for that, once" "$(jq -c 'select(.type == "stopping" and .cause == "moved") | .job' "$work/out1" | sort -n | xargs)" \
	"$slow $far $little $much"
run "replay gives the same" 0 journal replay --state "$state" --check
run "the record is whole" 0 journal verify --state "$state"
finish
