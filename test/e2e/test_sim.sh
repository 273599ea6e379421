#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# test_sim.sh: `suan sim` as scripts use it: the figures of a trace small enough to reckon by hand, the files that it writes, and
# what it says of bad input.
. "$(dirname "$0")/lib.sh"

cat >"$work/pool.yaml" <<'END'
pool: sim
centres:
  - {name: here, engine: {type: simulated}, nodes: [{count: 1, kind: a800, cards: 8, cpus: 64, memory_gib: 512}]}
END

# j1 runs 0 to 100; j2 waits for it, 100 to 150; j3 has a limit of 5: 150 to 155, failed; j4 fits no node.
cat >"$work/trace.csv" <<'END'
id,submit_s,run_s,limit_s,cards
j1,0,100,200,8
j2,10,50,60,8
j3,20,10,5,8
j4,30,1,1,9
END

sim() { suan sim --pool "$work/pool.yaml" --trace "$work/trace.csv" "$@"; }
figure() { jq -c "$1" "$work/json"; }

sim --json --jobs "$work/jobs.csv" --timeline "$work/timeline.csv" --report "$work/report.html" >"$work/json" 2>"$work/log"
is "it ends with 0" $? 0
is "every field of the interface is there" "$(jq -r '[has("jobs","started","completed","never_fit","pending","makespan_s","wait_s","jct_s",
	"cards","card_seconds","utilisation","allocated_share_peak","allocated_share_end","preemptions","restarts","events","wall_s",
	"digest")] | all' "$work/json")" true
is "what became of the jobs" "$(figure '[.jobs,.started,.completed,.failed,.never_fit,.pending]')" '[4,3,2,1,1,0]'
is "how long they waited" "$(figure '.wait_s | [.mean, .p50, .p90, .p99, .max] | map(. * 1000 | round)')" '[73333,90000,130000,130000,130000]'
is "how long they took" "$(figure '.jct_s | [.mean, .p50, .max] | map(round)')" '[125,135,140]'
is "when the last ended" "$(figure '.makespan_s | round')" 155
is "how much was used" "$(figure '[.cards,.card_seconds,.utilisation,.allocated_share_peak,.allocated_share_end] | map(. * 1000 | round)')" \
	'[8000,1240000,1000,1000,1000]'
is "a line a job" "$(sed -n 's/^j3,//p' "$work/jobs.csv")" "20.000000,150.000000,155.000000,here,a800,failed,0"
is "also for one that never fits" "$(sed -n 's/^j4,//p' "$work/jobs.csv")" "30.000000,,,,,never_fit,0"
is "a line an arrival or an end" "$(wc -l <"$work/timeline.csv")" 8
is "with what was submitted, is allocated, and waits" "$(sed -n 5p "$work/timeline.csv")" "30.000000,33.000,8.000,2"
grep -q '<svg' "$work/report.html" && ! grep -q 'https\?://' "$work/report.html"
ok "the page has its picture, and needs nothing from elsewhere" $?

sim --json >"$work/again"
is "the same again gives the same digest" "$(jq -r .digest "$work/again")" "$(jq -r .digest "$work/json")"
gzip -k "$work/trace.csv"
is "gzipped as well" "$(suan sim --pool "$work/pool.yaml" --trace "$work/trace.csv.gz" --policy fair --json | jq -r .digest)" \
	"$(jq -r .digest "$work/json")"
is "fifo runs too" "$(sim --policy fifo --json | jq .completed)" 2
is "without --json it is for people" "$(sim | grep -c 'completed')" 1

echo 'x,40,inf,,1' >>"$work/trace.csv"
is "one that never ends: no makespan" "$(sim --json | jq -c '[.makespan_s, .pending, .started]')" '[null,0,4]'

# says NAME STATUS TEXT COMMAND...
says() {
	local name=$1 status=$2 text=$3 found
	shift 3
	"$@" >"$work/out" 2>&1
	found=$?
	[ $found = "$status" ] && grep -qE -- "$text" "$work/out"
	local right=$?
	[ $right = 0 ] || sed "s/^/# status $found: /" "$work/out"
	ok "$name" $right
}
says "no pool is usage" 2 'usage' suan sim --trace "$work/trace.csv"
says "an unknown policy is usage" 2 'fair, fifo' sim --policy best
says "an unknown format is usage" 2 'suan or swf' sim --format csv
sed -i 's/^j2,10/j2,ten/' "$work/trace.csv"
says "a bad value: its line and column" 1 'trace.csv:3: submit_s: "ten"' sim
sed -i '1s/cards/cardz/' "$work/trace.csv"
says "a column that there isn't: the line, and a hint" 1 'trace.csv:1: .*did you mean "cards"' sim
sed -i '1s/,cardz//' "$work/trace.csv"
says "a missing column" 1 'trace.csv:1: .*cards.* is missing' sim
says "a trace that isn't there" 1 'nowhere.csv' suan sim --pool "$work/pool.yaml" --trace "$work/nowhere.csv"
says "a pool that isn't there" 1 'nowhere.yaml' suan sim --pool "$work/nowhere.yaml" --trace "$work/trace.csv"
finish
