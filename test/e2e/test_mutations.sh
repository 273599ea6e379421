#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# test_mutations.sh: thousands of job files and requests with a few changes each (mutations.c): what is refused gets a 4xx that
# names the field, the line or the byte, nothing gets a 5xx, and the daemon is as well afterwards as it was before.
#
# SUAN_SEED repeats a run's choices. SUAN_FULL=1 sends 10,000 of each (./dev soak) instead of 1,000.
. "$(dirname "$0")/lib.sh"

seed=${SUAN_SEED:-$((($$ * 31 + $(date +%s)) % 32768))}
count=1000
[ "${SUAN_FULL-}" = 1 ] && count=10000
echo "# seed $seed: SUAN_SEED=$seed test/e2e/test_mutations.sh repeats it"

pool=$work/pool.yaml
cat >"$pool" <<'END'
pool: mutations
kinds:
  test-card: {vendor: test, class: general, memory_gib: 16}
centres:
  - name: here
    region: test
    engine: {type: simulated, startup: 0s}
    nodes:
      - {count: 8, kind: test-card, cards: 4, cpus: 64, memory_gib: 256}
END
start_daemon "$pool" || { ok "the daemon starts" 1; finish; }
ok "the daemon starts" 0
token=$(cat "$state/token")
printf 'name: before\nresources: {accelerators: test-card:1}\nrun: "true"\n' >"$work/good.yaml"
suan submit "$work/good.yaml" >/dev/null
ok "a job before" $?

resident_kib() { awk '/^VmRSS/ { print $2 }' "/proc/$daemon_pid/status"; }

# mutations KIND: at least a third must be refused, or it shows nothing.
mutations() {
	local refused
	echo "# resident before: $(resident_kib) KiB"
	timeout 300 "$SUAN_BUILD/test/e2e/mutations" "$port" "$token" "$1" "$count" "$seed" >"$work/mutations" 2>&1
	ok "$count $1: each refusal is a 4xx that names a place" $?
	sed 's/^\([^#]\)/# \1/' "$work/mutations"
	refused=$(sed -n 's/.*refused \([0-9]*\),.*/\1/p' "$work/mutations")
	[ "${refused:-0}" -gt $((count / 3)) ]
	ok "$1: a third or more were refused" $?
	echo "# resident after: $(resident_kib) KiB"
}

mutations jobs
mutations requests

kill -0 "$daemon_pid"
ok "the daemon lives" $?
is "and is ready" "$(curl -s -o /dev/null -w '%{http_code}' --max-time 30 "$SUAN_URL/readyz")" 200
suan submit --dry-run "$work/good.yaml" >/dev/null
ok "and plans" $?
id=$(suan submit "$work/good.yaml")
[[ $id =~ ^[0-9]+$ ]]
ok "and takes a job" $?
grep -qE 'level=(error|fatal)|[Aa]ssert' "$work/log"
is "nothing went wrong by its log" $? 1
stop_daemon
is "SIGTERM stops it with status 0" $? 0
timeout 120 "$SUAN_BUILD/suan" journal verify --state "$state" >/dev/null
ok "the journal is whole" $?
finish
