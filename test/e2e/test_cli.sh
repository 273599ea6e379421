#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# test_cli.sh: the command line and the door of a real daemon: answers, bad input, and the exit statuses that scripts rely on
# (0 done, 1 the answer is no, 2 usage, 3 the daemon can't be reached).
. "$(dirname "$0")/lib.sh"

# says NAME STATUS TEXT COMMAND...: the command ends with this status, and says this (a pattern of grep -E) somewhere.
says() {
	local name=$1 expected=$2 text=$3 status wrong=0
	shift 3
	timeout 60 "$@" >"$work/said" 2>&1 </dev/null
	status=$?
	if [ $status != "$expected" ]; then
		echo "# status $status, expected $expected"
		wrong=1
	fi
	if ! grep -qE -- "$text" "$work/said"; then
		echo "# expected it to say: $text"
		wrong=1
	fi
	[ $wrong = 0 ] || head -c 2000 "$work/said" | sed 's/^/# /'
	ok "$name" $wrong
}

# job NAME: makes the file jobs/NAME.yaml of standard input.
job() { cat >"$work/$1.yaml"; }

suan=$SUAN_BUILD/suan
suand=$SUAN_BUILD/suand
local_pool 2 4 16 16

# ---- Without a daemon ----

says "no verb is usage" 2 'submit' "$suan"
says "an unknown verb is usage, with a hint" 2 'did you mean submit' "$suan" submti
says "an unknown option is usage" 2 'jsn' "$suan" jobs --jsn
says "a missing word is usage" 2 'usage' "$suan" wait
says "help is no error" 0 'submit' "$suan" help
job good <<'END'
name: good
resources: {accelerators: test-card:1}
run: echo hello from $SUAN_JOB_ID
END
says "no daemon is 3" 3 '127.0.0.1' "$suan" jobs
says "no daemon is 3 for a submit as well" 3 '127.0.0.1' "$suan" submit "$work/good.yaml"
says "a file that isn't there is 1" 1 'nowhere.yaml' "$suan" submit "$work/nowhere.yaml"

# ---- Pool files that are refused ----

bad_pool() { cat >"$work/bad-pool.yaml"; }
start_bad() { "$suand" --pool "$work/bad-pool.yaml" --state "$work/bad-state" --listen "127.0.0.1:$port"; }
export -f start_bad
export suand work port

bad_pool <<'END'
pool: p
kinds: {test-card: {vendor: test, class: general, memory_gib: 16}}
centres:
  - {name: one, region: r, engine: {type: simulated}, nodes: [{count: 1, kind: test-card, cards: 1}]}
  - {name: one, region: r, engine: {type: simulated}, nodes: [{count: 1, kind: test-card, cards: 1}]}
END
says "two centres of one name" 1 'centres\[1\].*one' bash -c start_bad
bad_pool <<'END'
pool: p
kinds: {test-card: {vendor: test, class: general, memory_gib: 16}}
centres:
  - {name: one, region: r, engine: {type: simulated}, nodes: [{count: 1, kind: test-card, cards: 1}]}
links:
  - {name: l, ends: [one, two], gbps: 1}
END
says "a link to a centre that isn't there" 1 'links\[0\].*two' bash -c start_bad
says "a pool file that isn't there" 1 'nowhere.yaml' "$suand" --pool "$work/nowhere.yaml" --state "$work/bad-state"
says "no pool file is usage" 2 'pool' "$suand"
says "an unknown option of suand is usage" 2 'pol' "$suand" --pol "$pool"
says "an address beyond loopback is refused without TLS" 2 'tls-cert' "$suand" --pool "$pool" --state "$work/bad-state" --listen "0.0.0.0:$port"
says "a password in the store's URL is refused" 1 'password' "$suand" --pool "$pool" --state "$work/bad-state" \
	--store 'postgresql://me:hunter2@db/suan'
grep -q hunter2 "$work/said"
is "and isn't repeated" $? 1

# ---- A daemon ----

if ! start_daemon "$pool"; then
	ok "the daemon starts" 1
	finish
fi
ok "the daemon starts" 0
says "a second one can't have the same state" 1 'in use|process' "$suand" --pool "$pool" --state "$state" --listen "127.0.0.1:$((port + 1))"

id=$(suan submit "$work/good.yaml")
[[ $id =~ ^[0-9]+$ ]]
ok "submit prints the id alone" $?
says "wait on a job that completes" 0 '' "$suan" wait "$id"
says "its log is there" 0 "hello from $id" "$suan" logs "$id"
is "a job as JSON" "$(suan job "$id" --json | jq -r '"\(.id) \(.name) \(.state) \(.exit_code)"')" "$id good completed 0"
says "jobs lists it" 0 'good' "$suan" jobs

job bad <<'END'
name: bad
resources: {accelerators: test-card:1}
run: exit 3
END
id=$(suan submit "$work/bad.yaml")
says "wait on a job that fails is 1" 1 '' "$suan" wait "$id"
is "its exit code" "$(suan job "$id" --json | jq -r '"\(.state) \(.exit_code)"')" "failed 3"

job long <<'END'
name: long
resources: {accelerators: test-card:1}
run: sleep 600
END
id=$(suan submit "$work/long.yaml")
says "cancel" 0 '' "$suan" cancel "$id"
says "wait on a canceled job is 1" 1 '' "$suan" wait "$id"
is "it is canceled" "$(suan job "$id" --json | jq -r .state)" canceled
says "a job that isn't there is 1" 1 '4000000' "$suan" job 4000000
says "cancel of one that isn't there is 1" 1 '4000000' "$suan" cancel 4000000
says "explain of one that isn't there is 1" 1 '4000000' "$suan" explain 4000000
says "a word that is no id is usage" 2 'seven' "$suan" job seven
for verb in pool centres nodes cards; do
	says "$verb answers" 0 '.' "$suan" "$verb"
	suan "$verb" --json | jq -e . >/dev/null
	ok "$verb as JSON is JSON" $?
done
says "a dry run" 0 'here' "$suan" submit --dry-run "$work/good.yaml"

# ---- Job files that are refused ----

before=$(suan pool --json | jq -r '"\(.state_digest) \(.sequence)"')

job unknown <<'END'
name: x
resorces: {accelerators: test-card:1}
run: "true"
END
says "an unknown key, with a hint" 1 'resorces.*did you mean.*resources' "$suan" submit "$work/unknown.yaml"
job inner <<'END'
name: x
resources: {acelerators: test-card:1}
run: "true"
END
says "an unknown key further in" 1 'acelerators.*did you mean.*accelerators' "$suan" submit "$work/inner.yaml"
job type <<'END'
name: x
num_nodes: many
run: "true"
END
says "a wrong type" 1 'num_nodes.*many' "$suan" submit "$work/type.yaml"
job type2 <<'END'
name: x
resources: [1, 2]
run: "true"
END
says "a list where a mapping belongs" 1 'resources' "$suan" submit "$work/type2.yaml"
job count <<'END'
name: x
resources: {accelerators: test-card:9}
run: "true"
END
says "a count that no node can hold" 1 '9.*test-card|test-card.*(9|4)' "$suan" submit "$work/count.yaml"
job gang <<'END'
name: x
num_nodes: 3
resources: {accelerators: test-card:4}
run: "true"
END
says "a gang that the pool can't hold" 1 '3' "$suan" submit "$work/gang.yaml"
job kind <<'END'
name: x
resources: {accelerators: test-crad:1}
run: "true"
END
says "a kind that there isn't, with a hint" 1 'test-crad.*did you mean.*test-card' "$suan" submit "$work/kind.yaml"
job time <<'END'
name: x
time: 90
run: "true"
END
says "a bare number as a limit" 1 'time.*90.*unit' "$suan" submit "$work/time.yaml"
job newline <<'END'
name: "one\ntwo"
run: "true"
END
says "a name with a newline" 1 'name' "$suan" submit "$work/newline.yaml"
job twice <<'END'
name: x
name: y
run: "true"
END
says "a key that comes twice" 1 'name' "$suan" submit "$work/twice.yaml"
job nothing </dev/null
says "an empty file" 1 '.' "$suan" submit "$work/nothing.yaml"
printf 'name: x\nrun: [unclosed\n' >"$work/broken.yaml"
says "YAML that isn't, with its line" 1 'broken.yaml:[0-9]' "$suan" submit "$work/broken.yaml"
head -c 3000 /dev/urandom >"$work/noise.yaml"
says "noise" 1 '.' "$suan" submit "$work/noise.yaml"
{
	echo 'a0: &a0 [x, x, x, x, x, x, x, x, x]'
	for i in 1 2 3 4 5 6 7 8 9 10 11 12; do
		p=$((i - 1))
		echo "a$i: &a$i [*a$p, *a$p, *a$p, *a$p, *a$p, *a$p, *a$p, *a$p, *a$p]"
	done
	echo 'name: *a12'
} >"$work/bomb.yaml"
says "a bomb of aliases" 1 '.' "$suan" submit "$work/bomb.yaml"
{
	printf 'name: x\nrun: |\n'
	yes '  echo a line of a very long script, again and again and again' | head -c 100000000
} >"$work/huge.yaml"
says "100 MB of YAML" 1 'huge.yaml.*(4194304|4 MiB|bytes|large)' "$suan" submit "$work/huge.yaml"
says "depends on a job that isn't there" 1 'depends_on' "$suan" submit <(printf 'name: x\ndepends_on: [{job: 4000000}]\nrun: "true"\n')

is "nothing of all that changed anything" "$(suan pool --json | jq -r '"\(.state_digest) \(.sequence)"')" "$before"

# ---- The door ----

token=$(find "$state" -maxdepth 1 -name '*token*' -type f | head -n 1)
is "the token's file is its owner's alone" "$(stat -c %a "$token")" 600
auth="Authorization: Bearer $(cat "$token")"
# http WORD...: the status of a request.
http() { curl -s -o "$work/body" -w '%{http_code}' --max-time 30 "$@"; }
json='Content-Type: application/json'
post=(-X POST --data '{"name": "by-hand", "run": "true"}')

is "a read on loopback needs no token" "$(http "$SUAN_URL/v1/jobs")" 200
is "a write without the token" "$(http "${post[@]}" -H "$json" "$SUAN_URL/v1/jobs")" 401
is "a write with a wrong one" "$(http "${post[@]}" -H "$json" -H 'Authorization: Bearer wrong' "$SUAN_URL/v1/jobs")" 401
is "a write with it" "$(http "${post[@]}" -H "$json" -H "$auth" "$SUAN_URL/v1/jobs")" 201
is "a write of another content type" "$(http "${post[@]}" -H 'Content-Type: text/plain' -H "$auth" "$SUAN_URL/v1/jobs")" 415
is "another Host" "$(http -H 'Host: evil.example' "$SUAN_URL/v1/jobs")" 403
is "another Origin" "$(http "${post[@]}" -H "$json" -H "$auth" -H 'Origin: http://evil.example' "$SUAN_URL/v1/jobs")" 403
is "a body of 100 MB" "$(http -X POST --data-binary "@$work/huge.yaml" -H 'Content-Type: application/yaml' -H 'Expect:' -H "$auth" "$SUAN_URL/v1/jobs")" 413
is "a path that isn't there" "$(http "$SUAN_URL/v1/jbos")" 404
is "a problem document names the field" "$(http -X POST --data '{"name": "x", "rum": "true"}' -H "$json" -H "$auth" "$SUAN_URL/v1/jobs") $(grep -c rum "$work/body")" "422 1"
key='Idempotency-Key: once'
first=$(http "${post[@]}" -H "$json" -H "$auth" -H "$key" "$SUAN_URL/v1/jobs")-$(jq .id "$work/body")
second=$(http "${post[@]}" -H "$json" -H "$auth" -H "$key" "$SUAN_URL/v1/jobs")-$(jq .id "$work/body")
is "a repeated key gives the same job" "${second#*-}" "${first#*-}"
for path in livez readyz metrics openapi.json v1/pool v1/centres v1/nodes v1/cards v1/links v1/projects; do
	is "/$path" "$(http "$SUAN_URL/$path")" 200
done

# ---- The simulator ----

printf 'id,submit_s,run_s\na,0,10\n' >"$work/no-cards.csv"
says "a trace with a missing column, with the line" 1 'no-cards.csv:1.*cards' "$suan" sim --pool "$pool" --trace "$work/no-cards.csv"
printf 'id,submit_s,run_s,cards\na,0,10,1\nb,5,many,1\n' >"$work/bad-run.csv"
says "a trace with a bad cell, with the line" 1 'bad-run.csv:3.*run_s' "$suan" sim --pool "$pool" --trace "$work/bad-run.csv"
printf 'id,submit_s,run_s,cards\na,0,10,1\nb,5,20,4\n' >"$work/good.csv"
says "a good one runs" 0 '"completed": *2' "$suan" sim --pool "$pool" --trace "$work/good.csv" --json

stop_daemon
is "SIGTERM stops it with status 0" $? 0
says "the journal is whole" 0 '' "$suan" journal verify --state "$state"
says "it can be read" 0 'submitted' "$suan" journal cat --state "$state"

# ---- Another pool file at the next start ----

sed 's/count: 2/count: 3/' "$pool" >"$work/more.yaml"
start_daemon "$work/more.yaml"
ok "a start with another pool file" $?
is "what was is printed" "$(grep -c 'pool was="centre here: 2 nodes with 4 test-card' "$work/log")" 1
is "and what is now" "$(grep -c 'pool now="centre here: 3 nodes with 4 test-card' "$work/log")" 1
is "and nothing else" "$(grep -c 'pool \(was\|now\)=' "$work/log")" 2
is "it is the pool from then on" "$(suan nodes --json | jq '.nodes | length')" 3
says "a second daemon on the same state" 1 'in use by another suand' "$suand" --pool "$pool" --state "$state" --listen 127.0.0.1:1
stop_daemon

# ---- Where the journal goes ----

says "an unknown kind of store" 1 'unknown kind of store' "$suand" --pool "$pool" --state "$work/none" --store bogus: --listen "127.0.0.1:$port"
state=$work/forgetful
for round in first second; do
	start_daemon "$pool" --store memory:
	ok "a $round start whose journal is in memory" $?
	is "knows of no job" "$(suan jobs --json | jq '.jobs | length')" 0
	printf 'run: "true"\n' | suan submit - --wait >"$work/said"
	ok "runs one" $?
	stop_daemon
done
finish
