#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# test_crash.sh: the daemon is killed with SIGKILL at random instants while jobs are being submitted and run.
# What must hold: no acknowledged job is lost, no run of one attempt starts twice, a repeated key makes no second job, exit
# statuses are right, the journal is whole, and replaying it gives the state that the daemon showed.
#
# SUAN_SEED repeats a run's choices; SUAN_KILLS is how often it is killed (20).
. "$(dirname "$0")/lib.sh"

seed=${SUAN_SEED:-$((($$ * 31 + $(date +%s)) % 32768))}
kills=${SUAN_KILLS:-20}
RANDOM=$seed
echo "# seed $seed, $kills kills: SUAN_SEED=$seed test/e2e/test_crash.sh repeats it"

local_pool 4 8 64 64
mkdir "$work/starts" "$work/jobs"

# job_file N: sleeps a little, then exits with N mod 3. Each start of it adds a line to the file of its attempt.
job_file() {
	cat <<-END
		name: crash-$1
		resources: {accelerators: test-card:1}
		time: 5m
		run: |
		  echo "\$\$ \$(date +%s.%N)" >> "$work/starts/\$SUAN_JOB_ID.\$SUAN_ATTEMPT"
		  sleep 0.$((1 + $1 * 7 % 9))
		  exit $(($1 % 3))
	END
}

# Submits job after job until told to stop. Each has its own key and is sent until it is acknowledged, as a careful user would;
# an acknowledged one is written down as "N ID".
submitter() {
	local n id status
	for ((n = 1; ; n++)); do
		job_file "$n" >"$work/jobs/$n.yaml"
		while :; do
			[ -e "$work/stop" ] && return
			id=$(suan submit --key "key-$n" "$work/jobs/$n.yaml" 2>"$work/submit-error")
			status=$?
			if [ $status = 0 ]; then
				echo "$n $id" >>"$work/acknowledged"
				break
			elif [ $status = 3 ]; then
				sleep 0.02
			else
				echo "$n: status $status: $(cat "$work/submit-error")" >>"$work/refused"
				sleep 0.05
			fi
		done
		sleep 0.1
	done
}

if ! start_daemon "$pool"; then
	ok "the daemon starts" 1
	finish
fi
: >"$work/acknowledged"
: >"$work/refused"
submitter &
submitter_pid=$!

up=0
for ((kill_n = 1; kill_n <= kills; kill_n++)); do
	sleep "$((RANDOM % 2)).$((RANDOM % 10))$((RANDOM % 10))"
	kill -0 "$daemon_pid" 2>/dev/null || { echo "# it had ended by itself before kill $kill_n"; up=1; tail "$work/log"; break; }
	kill_daemon
	sleep "0.$((RANDOM % 3))"
	if [ $((RANDOM % 4)) = 0 ]; then # once more, while it comes up
		spawn_daemon "$pool"
		sleep "0.0$((RANDOM % 10))"
		kill_daemon
	fi
	start_daemon "$pool" || { up=1; break; }
done
ok "it comes up again after each of $kills kills" $up
sleep 1
touch "$work/stop"
wait "$submitter_pid"

acknowledged=$(wc -l <"$work/acknowledged")
echo "# $acknowledged jobs were acknowledged"
[ "$acknowledged" -ge "$kills" ]
ok "jobs were acknowledged between the kills" $?
head -n 5 "$work/refused" | sed 's/^/# refused: /'
[ ! -s "$work/refused" ]
ok "none was refused" $?

# shellcheck disable=SC2046
timeout 60 "$SUAN_BUILD/suan" wait $(cut -d' ' -f2 "$work/acknowledged") >/dev/null 2>&1

lost=0 unfinished=0 wrong=0 names=0 attempts=0
while read -r n id; do
	if ! suan job "$id" --json >"$work/job.json" 2>"$work/job-error"; then
		echo "# job $id was acknowledged and isn't there: $(cat "$work/job-error")"
		lost=$((lost + 1))
		continue
	fi
	read -r name job_state exit_code attempt <<<"$(jq -r '"\(.name) \(.state) \(.exit_code) \(.attempt)"' "$work/job.json")"
	[ "$name" = "crash-$n" ] || { echo "# job $id is $name, not crash-$n"; names=$((names + 1)); }
	case $job_state in
	completed | failed) ;;
	*) echo "# job $id is $job_state: $(jq -c '{state, reason, attempt, note, native_state}' "$work/job.json")"; unfinished=$((unfinished + 1)); continue ;;
	esac
	expected=$([ $((n % 3)) = 0 ] && echo completed || echo failed)
	if [ "$job_state" != "$expected" ] || [ "$exit_code" != $((n % 3)) ]; then
		echo "# job $id: $job_state with $exit_code, expected $expected with $((n % 3)): $(jq -c . "$work/job.json")"
		wrong=$((wrong + 1))
	fi
	[ -s "$work/starts/$id.$attempt" ] || { echo "# job $id is over and attempt $attempt never started"; attempts=$((attempts + 1)); }
done <"$work/acknowledged"
is "every acknowledged job is there" $lost 0
is "each under its own name" $names 0
is "all are over" $unfinished 0
is "exit statuses are right" $wrong 0
is "each was really run" $attempts 0

twice=$(find "$work/starts" -type f -exec awk 'END { if (NR > 1) print FILENAME, NR }' {} \;)
is "no attempt started twice" "$twice" ""

is "no key made two jobs" "$(suan jobs --all --json | jq -r '.. | objects | select(has("name") and has("state")) | .name' | sort | uniq -d)" ""

# The state that is shown, at rest, against that of the journal.
for ((i = 0; i < 100; i++)); do
	shown=$(suan pool --json | jq -r '"\(.state_digest) \(.sequence)"')
	sleep 0.2
	[ "$shown" = "$(suan pool --json | jq -r '"\(.state_digest) \(.sequence)"')" ] && break
done
[[ $shown =~ ^[0-9a-f]{64}\ [0-9]+$ ]]
ok "the daemon shows a digest and a sequence number" $?
suan journal replay --digest --state "$state" >"$work/replayed" 2>&1
grep -q "${shown% *}" "$work/replayed" || { echo "# shown $shown, replayed $(cat "$work/replayed")"; false; }
ok "replaying the journal beside the daemon gives its digest" $?
stop_daemon
is "SIGTERM stops it with status 0" $? 0
suan journal verify --state "$state" >"$work/verified" 2>&1
status=$?
[ $status = 0 ] || sed 's/^/# /' "$work/verified"
ok "the journal is whole" $status
sequence=${shown#* }
suan journal replay --until "$sequence" --check --json --state "$state" >"$work/replayed" 2>&1
grep -q "${shown% *}" "$work/replayed" || { echo "# shown $shown, replayed $(cat "$work/replayed")"; false; }
ok "and so it does after the stop, with the state checked after each commit" $?

[ "$case_failures" = 0 ] || echo "# seed $seed"
finish
