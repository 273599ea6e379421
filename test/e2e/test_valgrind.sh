#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# test_valgrind.sh: every verb of the command line, the simulator and the daemon under valgrind: nothing is read that wasn't written,
# nothing is used after it was freed, and nothing is lost. Unlike under the sanitizers the program is as it is built, and reads of
# what wasn't written are seen too, also by the libraries. Nothing is suppressed. Supervisors and jobs aren't under it. Valgrind
# 3.19 knows neither openat2 nor pidfd_open: what stands in for them is what runs.
. "$(dirname "$0")/lib.sh"

skip() {
	echo "1..0 # SKIP $1"
	rm -rf "$work"
	exit 0
}
command -v valgrind >/dev/null || skip "valgrind isn't installed"
grep -qaE '__(asan|tsan)_init' "$SUAN_BUILD/suan" && skip "the programs are built with a sanitizer"

checked=(valgrind -q --error-exitcode=99 --leak-check=full "--errors-for-leak-kinds=definite,indirect,possible")

# clean NAME STATUS WORD...: suan with these words ends with this status, and valgrind finds nothing.
clean() {
	local name=$1 expected=$2 status
	shift 2
	timeout 120 "${checked[@]}" --log-file="$work/found" "$SUAN_BUILD/suan" "$@" >"$work/said" 2>"$work/complained" </dev/null
	status=$?
	if [ $status = "$expected" ] && [ ! -s "$work/found" ]; then
		ok "$name" 0
	else
		echo "# status $status: suan $*"
		head -n 60 "$work/found" "$work/complained" | sed 's/^/# /'
		ok "$name" 1
	fi
}

# help_of VERB...: help of each, in the background of what follows; what valgrind finds is kept in $work/help.
help_of() {
	local verb
	for verb in "$@"; do
		read -ra words <<<"$verb"
		"${checked[@]}" --log-file="$work/help-found" "$SUAN_BUILD/suan" help "${words[@]}" >/dev/null || echo "status $?: help $verb"
		cat "$work/help-found"
	done >"$work/help"
	echo "was shown" >>"$work/help"
}

# ---- Without a daemon ----

mapfile -t verbs < <(suan help | sed -n 's/^  \([a-z]\+\( [a-z]\+\)\?\)  .*/\1/p')
[ "${#verbs[@]}" -gt 20 ]
ok "suan help names its verbs" $?
help_of "${verbs[@]/#help/}" &
help_pid=$!
clean "an unknown verb" 2 submti
clean "an unknown option" 2 jobs --jsn
clean "no daemon" 3 jobs

# ---- The simulator ----

cat >"$work/sim.yaml" <<'END_POOL'
pool: sim
centres:
  - name: north
    engine: {type: simulated}
    nodes: [{count: 4, kind: h800, cards: 8, cpus: 64, memory_gib: 512}]
  - name: south
    engine: {type: simulated}
    nodes: [{count: 4, kind: a800, cards: 8, cpus: 64, memory_gib: 512}]
projects:
  - {name: lab, cohort: shared, nominal_quota: {h800: 16}, weight: 2}
  - {name: works, cohort: shared, nominal_quota: {h800: 16, a800: 32}}
  - {name: default}
END_POOL
# Sixty jobs in twenty minutes: shares, gangs, either kind, some that can be preempted, some past their limit, one too large.
awk 'BEGIN {
	print "id,submit_s,run_s,limit_s,cards,nodes,kinds,project,priority,preemptible,checkpoint_s"
	for (i = 1; i <= 60; i++)
		printf "j%d,%d,%d,%d,%s,%d,%s,%s,%d,%d,%s\n", i, i * 20, 100 + i * 37 % 900, 400 + i * 53 % 900, i % 5 ? 1 + i * 7 % 8 : 0.5,
			i % 5 && i % 7 == 0 ? 3 : 1, i % 3 ? "h800" : "a800", i % 2 ? "lab" : "works", i % 4 ? 0 : 900, i % 6 == 0, i % 6 ? "" : 60
	print "large,1300,10,20,8,9,h800,lab,0,0,"
}' >"$work/trace.csv"
for policy in fair fifo shortest las; do
	clean "sim, $policy" 0 sim --pool "$work/sim.yaml" --trace "$work/trace.csv" --policy $policy --json --jobs "$work/jobs.csv" \
		--timeline "$work/timeline.csv" --report "$work/report.html"
done
sed '30s/,[0-9]*,/,ten,/' "$work/trace.csv" >"$work/bad.csv"
clean "sim, a bad trace" 1 sim --pool "$work/sim.yaml" --trace "$work/bad.csv"
clean "sim, a bad pool" 1 sim --pool "$work/trace.csv" --trace "$work/trace.csv"

# ---- With a daemon ----

local_pool 2 4 16 16
cat >>"$pool" <<'END_POOL'
projects:
  - {name: lab}
  - {name: default}
END_POOL
printf '%s\n' 'name: good' 'resources: {accelerators: test-card:1}' 'secrets: {TOKEN: it}' 'run: echo hello' >"$work/good.yaml"
printf '%s\n' 'name: long' 'resources: {accelerators: test-card:1}' 'run: sleep 600' >"$work/long.yaml"
printf '%s\n' 'name: wide' 'num_nodes: 2' 'resources: {accelerators: test-card:4}' 'run: echo hello' >"$work/wide.yaml"
printf '%s\n' 'name: bad' 'resources: {accelerators: test-card:9}' 'run: echo hello' >"$work/bad.yaml"
printf '%s\n' '#!/bin/bash' '#SBATCH --gpus-per-node=1 --array=0-1' 'echo hello' >"$work/array.sh"

start_daemon "$pool"
ok "the daemon starts" $?

clean "submit --dry-run" 0 submit --dry-run "$work/good.yaml"
clean "submit --dry-run of a gang, as JSON" 0 submit --dry-run --json "$work/wide.yaml"
clean "submit of what is refused" 1 submit "$work/bad.yaml"
clean "submit" 0 submit "$work/long.yaml"
long=$(cat "$work/said")
clean "submit of a script, with the file's Slurm words" 0 submit "$work/array.sh"
clean "submit --wait" 0 submit --wait "$work/good.yaml"
good=$(grep -oE '^[0-9]+' "$work/said" | head -n 1)
wide=$(suan submit "$work/wide.yaml")
clean "jobs" 0 jobs
clean "jobs as JSON" 0 jobs --json --all
clean "job" 0 job "$good"
clean "wait" 0 wait "$good"
clean "logs" 0 logs "$good"
clean "explain" 0 explain "$wide"
for verb in pool centres nodes cards links projects bookings; do
	clean "$verb" 0 $verb
done
clean "pool as JSON" 0 pool --json
clean "node cordon" 0 node cordon here/0 --note test
clean "node uncordon" 0 node uncordon here/0
clean "node down" 0 node down here/1
clean "node up" 0 node up here/1
clean "cancel" 0 cancel "$long"
clean "wait for a job that was canceled" 1 wait "$long"
suan wait "$wide" >/dev/null
clean "drain" 0 drain here/1 --from +2h --until +3h
booking=$(cat "$work/said")
clean "book" 0 book here/0 --project lab --from +2h --until +3h
clean "unbook" 0 unbook "$booking"
clean "a job that isn't there" 1 job 4000000
clean "journal cat beside the daemon" 0 journal cat --state "$state"
stop_daemon
ok "the daemon ends well" $?
clean "journal verify" 0 journal verify --state "$state"
clean "journal replay" 0 journal replay --state "$state" --digest
mkdir -m 700 "$work/copy"
clean "journal copy" 0 journal copy --from "$state" --to "$work/copy"

# ---- The daemon itself ----

cat >"$pool" <<'END_POOL'
pool: checked
kinds:
  test-card: {vendor: test, class: general, memory_gib: 16}
centres:
  - {name: here, engine: {type: local}, nodes: [{count: 2, kind: test-card, cards: 4, cpus: 8, memory_gib: 16}]}
  - {name: far, engine: {type: simulated}, nodes: [{count: 2, kind: h800, cards: 8, cpus: 64, memory_gib: 512}]}
projects:
  - {name: lab}
  - {name: default}
END_POOL
state=$work/checked
printf '%s\n' 'name: fails' 'resources: {accelerators: test-card:1}' 'run: exit 3' >"$work/fails.yaml"
printf '%s\n' 'name: far' 'resources: {accelerators: h800:8}' 'time: 1h' 'run: echo hello' >"$work/far.yaml"
printf '%s\n' '#!/bin/bash' '#SBATCH --gpus-per-node=1 --output=%j.out' 'echo hello' >"$work/output.sh"

# found_nothing NAME: the daemon ends well, and valgrind has said nothing of it. What it says of itself (a call of the system that it
# doesn't know) begins with --.
found_nothing() {
	stop_daemon
	is "$1 ends well" $? 0
	grep '^==' "$work/daemon-found" | head -n 60 | sed 's/^/# /'
	[ -f "$work/daemon-found" ] && ! grep -q '^==' "$work/daemon-found"
	ok "$1: valgrind finds nothing" $?
}

# answer METHOD PATH [BODY]: the status of an answer.
answer() {
	curl -s -m 20 -o "$work/answer" -w '%{http_code}' -X "$1" -H "Authorization: Bearer $(cat "$state/token")" ${3+-d "$3"} \
		-H 'Content-Type: application/json' "$SUAN_URL$2"
}

# read_api ID: each path that can be read, with how it was answered.
read_api() {
	local path
	for path in jobs "jobs?limit=2&state=completed" "jobs/$1" "jobs/$1/logs" "jobs/$1/explain" "jobs/$1/wait" pool centres nodes cards links \
		projects bookings; do
		echo "$path $(answer GET "/v1/$path")"
	done
	for path in livez readyz metrics openapi.json; do
		echo "$path $(answer GET "/$path")"
	done
}

under=("${checked[@]}" --log-file="$work/daemon-found")
start_daemon "$pool"
ok "the daemon starts under valgrind" $?
good=$(suan submit "$work/good.yaml")
fails=$(suan submit "$work/fails.yaml")
array=$(suan submit "$work/array.sh" 2>/dev/null)
long=$(suan submit "$work/long.yaml")
wide=$(suan submit "$work/wide.yaml")
far=$(suan submit "$work/far.yaml")
output=$(suan submit "$work/output.sh" 2>/dev/null)
is "a job that can't fit is refused" "$(suan submit "$work/bad.yaml" 2>/dev/null; echo $?)" 1
is "and so are bad bodies" "$(answer POST /v1/jobs '{"run":') $(answer POST /v1/jobs '{"rum":"true"}') $(answer POST /v1/jobs "$(printf '\1')")" \
	"400 422 400"
is "and who has no token" "$(curl -s -o "$work/answer" -w '%{http_code}' -d '{}' "$SUAN_URL/v1/jobs")" 401
suan cancel "$long" >/dev/null
suan wait "$good" "$fails" "$array" "$long" "$wide" "$output" >/dev/null
is "jobs end as they should" "$(suan jobs --all --json | jq -r '[.jobs[] | select(.name | IN("good", "fails", "long", "wide")) | "\(.name) \(.state)"] | sort | join(", ")')" \
	"fails failed, good completed, long canceled, wide completed"
is "what can be read is" "$(read_api "$good" | grep -v ' 200$')" ""
is "and what isn't there is missed" "$(answer GET /v1/jobs/4000000) $(answer GET /v1/nothing) $(answer PUT /v1/jobs)" "404 404 405"
curl -s -m 60 -N "$SUAN_URL/v1/events?since=0" >"$work/events" 2>/dev/null &
stream_pid=$!
long=$(suan submit "$work/long.yaml")
for ((i = 0; i < 200; i++)); do
	[ "$(suan job "$long" --json | jq -r .state)" = running ] && break
	sleep 0.05
done
found_nothing "the daemon"
wait $stream_pid 2>/dev/null
grep -q '^data:' "$work/events"
ok "a stream was open until then" $?

start_daemon "$pool"
ok "it starts again, beside a job that runs" $?
suan cancel "$long" >/dev/null
is "which is canceled" "$(suan wait "$long")" "$long canceled"
is "and the simulated centre's job is over" "$(suan wait "$far")" "$far completed"
found_nothing "the daemon that was started again"

wait $help_pid
is "help of each verb" "$(cat "$work/help")" "was shown"
finish
