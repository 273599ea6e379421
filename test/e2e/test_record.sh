#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# test_record.sh: the record over a long life. Jobs that are long over are read from the history; a start goes from a snapshot;
# payloads are erased and keys forgotten with their jobs; and whatever is done to the journal behind the daemon's back is found,
# with the event, by `suan journal verify` and by suand, which then doesn't start.
. "$(dirname "$0")/lib.sh"

pool=$work/pool.yaml
cat >"$pool" <<'END'
pool: record
kinds:
  test-card: {vendor: test, class: general, memory_gib: 16}
centres:
  - {name: there, region: test, engine: {type: simulated, run: 50ms}, nodes: [{count: 64, kind: test-card, cards: 8}]}
  - {name: here, region: test, engine: {type: local}, nodes: [{count: 1, kind: test-card, cards: 8}]}
END
cat >"$work/config.yaml" <<'END'
history_jobs_max: 5
END

sql() { sqlite3 "$state/journal.db" "$1"; }

# submit_many N PREFIX: N jobs in one request, each third of which fails.
submit_many() {
	jq -n --arg p "$2" --argjson n "$1" '{jobs: [range($n) | {name: "\($p)\(.)", run: "true", resources: {accelerators: "test-card:1",
		infra: "there"}, time: "1m", simulated: {exit: (if . % 3 == 2 then 3 else 0 end)}, project: (if . % 2 == 0 then "even" else "odd" end)}]}' |
		curl -sS -X POST -H "Authorization: Bearer $(cat "$state/token")" -H 'Content-Type: application/json' --data-binary @- \
			"$SUAN_URL/v1/jobs" | jq '[.jobs[] | select(.id)] | length'
}

# until_over: waits until the core holds no more than five jobs, all over.
until_over() {
	local i
	for ((i = 0; i < 300; i++)); do
		[ "$(curl -sS "$SUAN_URL/metrics" | awk '/^suan_jobs\{/ && !/completed|failed|canceled/ { n += $2 } END { print n + 0 }')" = 0 ] && return 0
		sleep 0.1
	done
	return 1
}

start_daemon "$pool" --config "$work/config.yaml"
ok "the daemon starts" $?

# ---- The history ----

cat >"$work/local.yaml" <<'END'
name: says-something
resources: {accelerators: test-card:1, infra: here}
time: 1m
run: echo canary-in-a-payload-$((40 + 2)); sleep 0.05
END
first=$(suan submit --key the-key "$work/local.yaml")
suan wait "$first" >/dev/null
ok "a job runs" $?
array=$(printf 'name: arr\nresources: {accelerators: test-card:1, infra: there}\ntime: 1m\narray: 3-9:3\nrun: "true"\n' >"$work/a.yaml"; suan submit "$work/a.yaml")
suan wait "$array" >/dev/null
is "many are submitted" "$(submit_many 300 m)" 300
until_over
ok "all of them end" $?
before=$(suan job --json "$first" | jq -S .)
is "a job that has left the core is shown from the history" "$(jq -r '"\(.id) \(.name) \(.state) \(.exit_code) \(.centre)"' <<<"$before")" \
	"$first says-something completed 0 here"
is "the core holds five" "$(suan journal cat --state "$state" | jq -r .type | grep -c forgotten)" \
	"$(($(suan jobs --all --json | jq '.jobs // . | length') - 5))"
is "an element of an array is found by its index" "$(suan job --json "${array}_6" | jq -r '"\(.array_id) \(.array_index) \(.state)"')" "$array 6 completed"
suan job "${array}_4" >/dev/null 2>&1
is "an element that never was isn't" $? 1
is "all are listed, each once, the newest first" "$(suan jobs --all --json | jq -c '(.jobs // .) | [length, (map(.id) == (map(.id) | unique | reverse))]')" "[305,true]"
is "the state filter goes on into the history" "$(suan jobs --all --json --state failed | jq '(.jobs // .) | length')" 100
is "the project filter too" "$(suan jobs --all --json --project even --state failed | jq '(.jobs // .) | length')" 50
pages=$(cursor=; n=0; while :; do
	page=$(curl -sS "$SUAN_URL/v1/jobs?limit=7&state=completed${cursor:+&cursor=$cursor}")
	n=$((n + $(jq '.jobs | length' <<<"$page")))
	cursor=$(jq -r '.next // empty' <<<"$page")
	[ -n "$cursor" ] || break
done; echo $n)
is "pages of seven hold them all" "$pages" 205
suan wait "$first" >/dev/null
is "waiting for a job of the history is over at once" $? 0
failed=$(curl -sS "$SUAN_URL/v1/jobs?state=failed&limit=1&cursor=100" | jq '.jobs[0].id')
suan wait "$failed" >/dev/null
is "and knows that one failed" $? 1
is "its output is still there" "$(suan logs "$first")" "canary-in-a-payload-42"
suan explain "$first" >/dev/null
is "explain says that it is over" $? 0

# ---- What goes with a job ----

again=$(suan submit --key the-key "$work/local.yaml")
[ "$again" != "$first" ]
ok "a key is free again once its job has left the core" $?
suan wait "$again" >/dev/null
sql "PRAGMA wal_checkpoint" >/dev/null
is "its payload is there while a job has it" "$(grep -c 'canary-in-a-payload' "$state/journal.db" "$state/journal.db-wal" | awk -F: '{ n += $2 } END { print (n > 0) }')" 1
submit_many 10 n >/dev/null
until_over
sleep 0.3
is "and is erased when the last has left" "$(sql "SELECT count(*) FROM payload WHERE CAST(bytes AS TEXT) LIKE '%canary%'")" 0
is "from the files too" "$(cat "$state"/journal.db* | grep -c 'canary-in-a-payload')" 0

# ---- Depending on what is over ----

depends() { # depends JOB WHEN
	printf 'name: dep\nresources: {accelerators: test-card:1, infra: there}\ntime: 1m\nrun: "true"\ndepends_on: [{job: %s, when: %s}]\n' "$1" "$2" >"$work/d.yaml"
	suan submit "$work/d.yaml"
}
id=$(depends "$first" afterok 2>"$work/said")
is "a job may depend on one of the history that completed" "$?: $(grep -c "$first is over (completed)" "$work/said")" "0: 1"
suan wait "$id" >/dev/null
is "and runs" $? 0
depends "$failed" afterany >/dev/null 2>&1
is "afterany is satisfied by one that failed" $? 0
depends "$failed" afterok >"$work/said" 2>&1
is "afterok isn't, and that is said" "$?: $(grep -c "$failed: that job is over and has failed" "$work/said")" "1: 1"
depends 999999 afterok >"$work/said" 2>&1
is "a job that never was is refused" "$?: $(grep -c "no such job" "$work/said")" "1: 1"
until_over

# ---- Snapshots ----

sleep 1.2 # so that the history is written
rows=$(sql "SELECT count(*) FROM history")
is "the history is a table" "$((rows > 300))" 1
digest=$(suan pool --json | jq -r .state_digest)
stop_daemon
ok "a clean stop" $?
is "leaves a snapshot" "$(ls "$state" | grep -c '^snapshot-0')" 1
start_daemon "$pool" --config "$work/config.yaml"
is "from which the next start goes" "$(grep -o 'what=replayed .*from=[0-9]*' "$work/log" | tail -1 | grep -vc 'from=0$')" 1
is "to the same state" "$(suan pool --json | jq -r .state_digest)" "$digest"
suan journal replay --digest --from-snapshot --state "$state" >"$work/replayed" 2>"$work/said"
is "which replay from the beginning has too" "$?: $(cat "$work/replayed")" "0: $digest"
is "the history is as it was" "$(suan job --json "$first" | jq -S .)" "$before"

# A crash loses none of it: what wasn't written is made again.
submit_many 60 k >/dev/null
until_over
all=$(suan jobs --all --json | jq -c '(.jobs // .) | map([.id, .state])')
digest=$(suan pool --json | jq -r .state_digest)
kill_daemon
start_daemon "$pool" --config "$work/config.yaml"
is "after a crash every job is there" "$(suan jobs --all --json | jq -c '(.jobs // .) | map([.id, .state])')" "$all"
is "in the same state" "$(suan pool --json | jq -r .state_digest)" "$digest"
submit_many 200 s >/dev/null
until_over
stop_daemon
is "two snapshots are kept" "$(ls "$state" | grep -c '^snapshot-0')" 2

# One that is damaged is said, and the older one is used; without any, the whole journal.
newest=$(ls "$state"/snapshot-0* | tail -1)
cp "$newest" "$work/snapshot"
printf x | dd of="$newest" bs=1 seek=400 conv=notrunc 2>/dev/null
start_daemon "$pool" --config "$work/config.yaml"
is "a damaged snapshot is said" "$(grep -c 'what=failure.*snapshot.*written\|snapshot.*aren.t what was written' "$work/log")" 1
is "and the older one used" "$(grep -o 'what=replayed .*' "$work/log" | tail -1 | grep -vc 'from=0 ')" 1
digest=$(suan pool --json | jq -r .state_digest)
stop_daemon
rm "$state"/snapshot-0*
start_daemon "$pool" --config "$work/config.yaml"
is "without any the whole journal is" "$(grep -o 'what=replayed .*' "$work/log" | tail -1 | grep -c 'from=0 ')" 1
is "with the same state" "$(suan pool --json | jq -r .state_digest)" "$digest"
stop_daemon

# ---- Tampering ----

suan journal verify --state "$state" >"$work/verified"
ok "the journal is whole" $?
is "its anchors fit" "$(grep -c 'anchors fit' "$work/verified")" 1
is "the key is nobody else's" "$(stat -c %a "$state/anchor.key")" 600
cp -r "$state" "$work/good"
batches() { sqlite3 "$work/good/journal.db" "SELECT $1 FROM batch ORDER BY sequence LIMIT 1 OFFSET 40"; }
middle=$(batches sequence)
middle_last=$(batches 'sequence + n_events - 1')

# tampered NAME TEXT: what was done to the copy in $state is found by verify and by suand; then the good one is there again.
tampered() {
	local status
	suan journal verify --state "$state" >"$work/said" 2>&1
	status=$?
	grep -q -- "$2" "$work/said" || { sed 's/^/# verify: /' "$work/said"; status=0; }
	is "$1: verify names it" $status 1
	"$SUAN_BUILD/suand" --pool "$pool" --state "$state" --listen "127.0.0.1:$port" >"$work/out" 2>"$work/said" &
	wait $!
	status=$?
	grep -q -- "$2" "$work/said" && grep -q 'suan journal copy --from OLD --until [1-9][0-9]* --to NEW\|docs/record.md' "$work/said" ||
		{ sed 's/^/# suand: /' "$work/said"; status=0; }
	is "$1: suand doesn't start, and says how to go on" $status 1
	rm -rf "$state"
	cp -r "$work/good" "$state"
}

hex=$(sql "SELECT hex(events) FROM batch WHERE sequence = $middle")
sql "UPDATE batch SET events = x'${hex:0:6}$(printf %02x $((0x${hex:6:2} ^ 1)))${hex:8}' WHERE sequence = $middle"
tampered "a byte changed" "events $middle to $middle_last: the hash isn't that of these bytes.*last good event is $((middle - 1))"
sql "DELETE FROM batch WHERE sequence = $middle"
tampered "a commit dropped" "events $((middle_last + 1)) to [0-9]*: events before these are missing; the last good event is $((middle - 1))"
sql "CREATE TABLE t AS SELECT * FROM batch WHERE sequence IN ($middle, (SELECT min(sequence) FROM batch WHERE sequence > $middle));
	UPDATE batch SET (n_events, at_us, hash, events) = (SELECT n_events, at_us, hash, events FROM t WHERE t.sequence <> batch.sequence)
		WHERE sequence IN (SELECT sequence FROM t); DROP TABLE t"
tampered "two commits reordered" "events $middle to [0-9]*: .*the last good event is $((middle - 1))"
last=$(sql "SELECT max(sequence) FROM batch")
end=$(sql "SELECT max(sequence + n_events - 1) FROM batch")
sql "DELETE FROM batch WHERE sequence = $last"
tampered "the end cut off" "events $last to $end are missing: the end was cut off.*the last good event is $((last - 1))"
rm "$state"/snapshot-0*
sql "DELETE FROM batch WHERE sequence = $last"
tampered "the end cut off, without snapshots" "events $last to $end are missing: the end was cut off"

# Written anew: another daemon's journal, as whole as this one, under this one's anchors.
other=$work/other
mkdir "$other"
keep=$state
state=$other
start_daemon "$pool" --config "$work/config.yaml"
for i in 1 2 3; do submit_many 300 x$i >/dev/null; done
until_over
stop_daemon
state=$keep
cp "$other/journal.db" "$state/journal.db"
suan journal verify --state "$other" >/dev/null 2>&1
ok "another journal is whole by itself" $?
tampered "all written anew" "events 1 to [0-9]* were rewritten"

# The anchors themselves.
sed -i '1s/ [0-9]/ 7/' "$state/anchors"
tampered "an anchor forged" "line 1 isn't an anchor that this journal's key signed"
rm "$state/anchor.key" "$state/anchor.pub"
"$SUAN_BUILD/suand" --pool "$pool" --state "$state" --listen "127.0.0.1:$port" >"$work/out" 2>"$work/said"
is "the key replaced: suand doesn't start" "$?: $(grep -c "isn't an anchor that this journal's key signed" "$work/said")" "1: 1"
rm -rf "$state"
cp -r "$work/good" "$state"

# ---- Going on from the last good event ----

sql "UPDATE batch SET hash = zeroblob(32) WHERE sequence = $middle"
suan journal copy --from "$state" --until $((middle - 1)) --to "$work/new" >"$work/said" 2>&1
is "a copy up to the last good event" "$?: $(grep -c "copied $((middle - 1)) events" "$work/said")" "0: 1"
suan journal verify --state "$work/new" >/dev/null 2>&1
ok "is whole" $?
state=$work/new
start_daemon "$pool" --config "$work/config.yaml"
ok "and a daemon goes on with it" $?
is "with the jobs that it has" "$(suan job --json "$first" | jq -r .name)" says-something
stop_daemon

# Anchors elsewhere.
start_daemon "$pool" --config "$work/config.yaml" --anchors "$work/elsewhere"
submit_many 3 e >/dev/null
until_over
stop_daemon
suan journal verify --state "$state" --anchors "$work/elsewhere" --key "$state/anchor.pub" >"$work/said"
is "anchors may be elsewhere" "$?: $(grep -c 'anchors fit' "$work/said")" "0: 1"

finish
