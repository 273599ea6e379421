#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# test_cli_jobs.sh: every verb of suan against a real daemon: what it prints, its JSON, its exit status, and wrong
# input on purpose. What bad job and pool files get is in test_cli.sh.
. "$(dirname "$0")/lib.sh"

cat >"$pool" <<'END'
pool: cli
kinds:
  test-card: {vendor: test, class: general, memory_gib: 16}
centres:
  - name: here
    region: beijing
    engine: {type: local}
    nodes:
      - {count: 2, kind: test-card, cards: 2, cpus: 64, memory_gib: 64}
  - name: far-away
    region: hebei
    engine: {type: simulated, startup: 100ms}
    nodes:
      - {count: 4, kind: h800, cards: 8, cpus: 128, memory_gib: 1024}
links:
  - {name: by-far, ends: [here, far-away], gbps: 100, latency_us: 3000, price_per_tib: 2.5}
END

. "$(dirname "$0")/lib-cli.sh"

# ---- Without a daemon ----

run "help" 0 help
said "help lists the verbs" '^  submit  '
run "no verb" 2
run "version" 0 --version
said "version is one line" '^suan [0-9]+\.[0-9]+'
for verb in submit jobs job wait logs cancel explain pool centres nodes cards links projects sim; do
	run "$verb --help" 0 $verb --help
	said "$verb --help shows its usage" "^suan $verb "
	case $verb in
	submit) words=$work/none.yaml ;;
	job | wait | logs | cancel | explain) words=1 ;;
	*) words= ;;
	esac
	run "$verb with an unknown option" 2 $verb $words --jsn
	complained "$verb names the option that was meant" 'did you mean --json\?'
done
run "journal --help" 0 journal --help
said "journal --help shows all four" '^suan journal copy '
run "journal alone" 2 journal
run "an unknown verb" 2 sumbit
complained "it names the verb that was meant" 'did you mean submit\?'
run "an unknown verb of the journal" 2 journal verfy
complained "it names that one too" 'did you mean journal verify\?'
run "job without an ID" 2 job
run "an ID that is none" 2 job seventeen
run "an ID with more behind it" 2 job 12_5_1
run "a word too many" 2 job 1 2
run "an unknown state" 2 jobs --state acitve
complained "it names the state that was meant" 'did you mean active\?'
run "a count that is none" 2 logs 1 --node x
run "a time without its unit" 2 wait 1 --timeout 5
run "a flag with a value" 2 jobs --json=yes
run "no daemon" 3 jobs
complained "it says where it looked" "$SUAN_URL"
run "no daemon, waiting" 3 wait 1 --timeout 1s
SUAN_URL=http://user:hunter2@127.0.0.1:1 run "a password in the URL" 2 jobs
! grep -q hunter2 "$work/err1"
ok "it isn't repeated" $?
SUAN_URL=gopher://127.0.0.1:1 run "another scheme" 2 jobs
SUAN_TOKEN=secret SUAN_URL=http://192.0.2.1:7480 run "a token in the clear to another machine" 2 jobs
SUAN_TOKEN=$'a\nX-Evil: 1' run "a token with a newline" 2 jobs
run "a job file that isn't there" 1 submit "$work/none.yaml"
run "a folder as a job file" 1 submit "$work"
printf 'naem: x\nrun: true\n' >"$work/bad.yaml"
run "a key that isn't one" 1 submit "$work/bad.yaml"
complained "with file, line and the key that was meant" "bad\.yaml:1: naem.*did you mean .?name"
run "verifying a journal that isn't there" 1 journal verify --state "$work/nowhere"

# ---- With one ----

if ! start_daemon "$pool"; then
	ok "the daemon starts" 1
	finish
fi

run "jobs of an empty queue" 0 jobs
run "jobs of an empty queue as JSON" 0 jobs --json
json "it is an empty list" '[.jobs, .next]' '[[],null]'
run "a job that isn't there" 1 job 4711
complained "it says so" '4711'
run "wait for a job that isn't there" 1 wait 4711
run "logs of a job that isn't there" 1 logs 4711
run "explain a job that isn't there" 1 explain 4711
run "cancel a job that isn't there" 1 cancel 4711
run "jobs of a project that isn't there" 1 jobs --project nobody

job good 'resources: {accelerators: test-card:1}' 'time: 5m' 'run: |' '  echo out; echo "rank $NODE_RANK of $NNODES"'
run "a dry run" 0 submit "$work/good.yaml" --dry-run
said "a dry run says when" 'would start now'
said "a dry run says where" 'here'
run "a dry run as JSON" 0 submit "$work/good.yaml" --dry-run --json
json "it is one" '[.dry_run, .state, .centre]' '[true,"new","here"]'
run "it changed nothing" 0 jobs --json
json "there is still no job" '.jobs | length' 0

run "submit" 0 submit "$work/good.yaml"
said "it prints the id alone" '^[0-9]+$'
good=$(cat "$work/out1")
run "wait" 0 wait "$good"
said "it says what became of it" "^$good completed"
run "job" 0 job "$good"
said "it names the centre" 'where +here, node'
run "job as JSON" 0 job "$good" --json
json "it is the job" '[.name, .state, .exit_code, .simulated]' '["good","completed",0,false]'
run "logs" 0 logs "$good"
is "they are the job's output" "$(cat "$work/out1")" $'out\nrank 0 of 1'
run "logs as JSON" 0 logs "$good" --json
json "with the text" '[.text, .attempt, .node]' '["out\nrank 0 of 1\n",1,0]'
run "logs of a task that isn't there" 1 logs "$good" --node 7
run "explain a job that is over" 0 explain "$good"
run "cancel a job that is over" 0 cancel "$good"
complained "it says that it was over" 'over already'
"$SUAN_BUILD/suan" submit - <"$work/good.yaml" >"$work/out1" 2>"$work/err1"
is "submit from standard input" $? 0

job bad 'run: exit 3'
run "submit and wait for a failure" 1 submit "$work/bad.yaml" --wait
said "it still prints the id" '^[0-9]+$'
complained "and says how it ended" 'failed, exit 3'
run "submit and wait as JSON" 1 submit "$work/bad.yaml" --wait --json
json "it is the job at its end" '[.state, .exit_code]' '["failed",3]'
bad=$(jq .id "$work/out1")
run "wait for one that failed and one that did not" 1 wait "$good" "$bad" --json
json "both are shown" '[.[].state]' '["completed","failed"]'

job gang 'num_nodes: 2' 'resources: {accelerators: test-card:2}' 'time: 5m' 'run: echo "I am $NODE_RANK"; sleep 0.2'
run "a gang" 0 submit "$work/gang.yaml" --wait
gang=$(cat "$work/out1")
run "logs of its second task" 0 logs "$gang" --node 1
is "they are that task's" "$(cat "$work/out1")" "I am 1"

job hog 'num_nodes: 2' 'resources: {accelerators: test-card:2}' 'run: |' '  trap "echo ended by TERM; exit 1" TERM' '  echo begun; sleep 300 & wait'
run "a job without end" 0 submit "$work/hog.yaml"
hog=$(cat "$work/out1")
job waits 'resources: {accelerators: test-card:2}' 'run: "true"'
run "a job that has to wait" 0 submit "$work/waits.yaml"
waits=$(cat "$work/out1")
run "wait no longer than" 1 wait "$waits" --timeout 1s
complained "it says what the job is" 'queued'
run "explain" 0 explain "$waits"
said "the reason comes first" "^job $waits is queued: (resources|reserved)"
said "what would change it" 'to change'
said "when it is expected" 'expected +between now and .*, 9 times in 10'
run "explain as JSON" 0 explain "$waits" --json
json "it names the kind" '[.job, .kind]' "[$waits,\"test-card\"]"
run "jobs in a state" 0 jobs --state queued --json
json "only those" '[.jobs[].id]' "[$waits]"
run "jobs" 0 jobs
said "a table" '^ *ID +NAME +PROJECT +STATE'
run "cards" 0 cards --centre here --json
json "the hog's cards" '[.cards[] | select(.jobs | index('"$hog"')) | .free]' '[0,0,0,0]'

# Output is followed across a restart of the daemon, until the job is over.
timeout 60 "$SUAN_BUILD/suan" logs "$hog" -f >"$work/followed" 2>"$work/follow-err" &
follower=$!
timeout 60 "$SUAN_BUILD/suan" wait "$waits" >"$work/waited" 2>"$work/wait-err" &
waiter=$!
sleep 1
kill_daemon
sleep 0.5
start_daemon "$pool"
ok "the daemon is back after a kill" $?
sleep 1
stop_daemon
is "and stops when it is told, whoever follows and waits" $? 0
start_daemon "$pool"
ok "and is back after that" $?
sleep 1
run "cancel" 0 cancel "$hog"
said "it says the state" "^$hog (cleanup|canceled|active)"
wait $follower
is "logs -f ended with the job" $? 0
is "it has all of the output, once" "$(cat "$work/followed")" $'begun\nended by TERM'
wait $waiter
is "wait outlived the daemon" $? 0
is "wait -> what became of it" "$(cat "$work/waited")" "$waits completed"
grep -q "waiting for it" "$work/wait-err"
ok "it said that it waited for the daemon" $?
run "what was canceled" 1 wait "$hog"
said "is canceled" "^$hog canceled"

job far 'resources: {accelerators: h800:8, infra: far-away}' 'simulated: {run: 200ms}' 'run: "true"'
run "a simulated job" 0 submit "$work/far.yaml" --wait
far=$(cat "$work/out1")
for words in "job $far" jobs nodes cards; do
	run "$words" 0 $words
	said "$words: what is simulated says so" 'far-away simulated'
	! grep -q 'here simulated' "$work/out1"
	ok "$words: and what isn't doesn't" $?
done
run "centres" 0 centres
said "centres: what is simulated says so" '^far-away .* simulated '
said "centres: and what isn't doesn't" '^here .* local '
run "links" 0 links
said "links: which end is simulated" '^by-far +here +far-away .* to$'
run "a dry run of a simulated job" 0 submit "$work/far.yaml" --dry-run
said "it says that it would be simulated" 'far-away simulated'
COLUMNS=80 "$SUAN_BUILD/suan" jobs >"$work/out1"
is "a table fits 80 columns" "$(awk 'length > 80' "$work/out1")" ""

job many 'array: 0-4' 'run: echo $SUAN_ARRAY_INDEX'
run "an array" 0 submit "$work/many.yaml" --wait
many=$(cat "$work/out1")
run "an element" 0 job "${many}_3" --json
json "it is that one" '[.array_id, .array_index, .state]' "[$many,3,\"completed\"]"
run "an element's output" 0 logs "${many}_3"
is "is its own" "$(cat "$work/out1")" 3
job one-by-one 'array: 0-2%1' 'run: sleep 60'
run "an array, one at a time" 0 submit "$work/one-by-one.yaml"
slow=$(cat "$work/out1")
for ((i = 0; i < 100; i++)); do [ "$(suan job "${slow}_0" --json | jq -r .state)" = active ] && break; sleep 0.1; done
run "an element that waits" 0 job "${slow}_2" --json
json "is queued, and says for what" '[.state, .reason.code, .placed_at, .started_at]' '["queued","array",null,null]'
run "explain an element that waits" 0 explain "${slow}_2" --json
json "says so too" '[.state, .reason]' '["queued","array"]'
run "cancel the array" 0 cancel "$slow"
run "wait for it" 1 wait "$slow"
run "an element that never ran" 0 job "${slow}_2" --json
json "was canceled with it" '[.state, .started_at]' '["canceled",null]'
run "an array's output" 1 logs "$many"
complained "is that of its elements" "suan logs ${many}_0"

run "a key" 0 submit "$work/good.yaml" --key once
first=$(cat "$work/out1")
run "the same key and file again" 0 submit "$work/good.yaml" --key once
is "is the same job" "$(cat "$work/out1")" "$first"
run "the same key with another file" 1 submit "$work/bad.yaml" --key once
run "a key with a blank" 2 submit "$work/good.yaml" --key 'a b'

SUAN_TOKEN=wrong run "another token" 1 submit "$work/good.yaml"
complained "it says what is wrong" 'token'
XDG_CONFIG_HOME=$work/nothing run "no token" 1 submit "$work/good.yaml"
complained "it says where one comes from" 'SUAN_TOKEN'
token=$(cat "$XDG_CONFIG_HOME"/suan/tokens/*)
SUAN_TOKEN=$token XDG_CONFIG_HOME=$work/nothing run "the token by environment" 0 submit "$work/good.yaml"
SUAN_URL=http://localhost:$port run "the token by another name of this machine" 0 submit "$work/good.yaml"

for verb in pool centres nodes cards links projects jobs; do
	run "$verb" 0 $verb
	run "$verb --json" 0 $verb --json
	json "$verb --json is one object" type '"object"'
	[ -s "$work/err1" ] && sed 's/^/# /' "$work/err1"
done
run "nodes of a centre" 0 nodes --centre here --json
json "only of that" '[.nodes[].centre] | unique' '["here"]'
run "nodes of a centre that isn't there" 1 nodes --centre nowhere
for ((i = 0; i < 3; i++)); do run "a job for paging" 0 submit "$work/good.yaml"; done
run "jobs --all" 0 jobs --all --json
json "newest first, none twice" '[.jobs[].id] | . == (unique | reverse)' true
"$SUAN_BUILD/suan" jobs >/dev/full 2>"$work/err1"
is "a full disk as standard output" $? 1

# What a job is named can't touch the terminal.
printf '{"name": "a\\u001b[31mb", "run": "true"}' >"$work/evil.json"
run "a name with an escape" 1 submit "$work/evil.json"
! grep -q $'\033' "$work/err1"
ok "the complaint holds no escape" $?

# ---- The record ----

run "wait for the rest" 0 wait "$first"
sleep 0.5
run "pool" 0 pool --json
shown=$(jq -r .state_digest "$work/out1") sequence=$(jq -r .sequence "$work/out1")
stop_daemon
run "verify" 0 journal verify --state "$state"
said "it says how much" '^ok: [0-9]+ events in [0-9]+ batches, last hash [0-9a-f]{64}$'
run "verify as JSON" 0 journal verify --state "$state" --json
json "it says so" '[.ok, .events >= '"$sequence"']' '[true,true]'
run "replay to what was shown" 0 journal replay --until "$sequence" --check --json --state "$state"
json "it is the state that was shown" '[.state_digest, .sequence]' "[\"$shown\",$sequence]"
run "replay --digest" 0 journal replay --digest --state "$state"
said "the digest alone" '^[0-9a-f]{64}$'
replayed=$(cat "$work/out1")
run "cat" 0 journal cat --state "$state"
is "one object a line" "$(jq -c . "$work/out1" | wc -l)" "$(wc -l <"$work/out1")"
is "numbered without a gap" "$(jq .sequence "$work/out1")" "$(seq "$(wc -l <"$work/out1")")"
run "cat --since" 0 journal cat --since 5 --state "$state"
is "from there on" "$(head -n 1 "$work/out1" | jq .sequence)" 5
run "copy" 0 journal copy --from "$state" --to "$work/copy"
run "copy as JSON" 0 journal copy --from "$state" --to "$work/copy3" --json
json "it says how much" '[.events >= '"$sequence"', .payloads_erased]' '[true,0]'
run "the copy is whole" 0 journal verify --state "$work/copy"
run "the copy gives the same state" 0 journal replay --digest --state "$work/copy"
is "the same digest" "$(cat "$work/out1")" "$replayed"
run "copy onto what is there" 1 journal copy --from "$state" --to "$work/copy"
complained "it is refused" 'expected an empty store'
run "copy without --to" 2 journal copy --from "$state"
run "copy to a password" 1 journal copy --from "$state" --to postgresql://me:hunter2@127.0.0.1/suan
! grep -q hunter2 "$work/err1"
ok "it isn't repeated" $?

# One letter of a job's name changed in the middle of the record.
offset=$(grep -obUa gang "$work/copy/journal.db" | head -n 1 | cut -d: -f1)
printf G | dd of="$work/copy/journal.db" bs=1 seek="$offset" conv=notrunc 2>/dev/null
run "a changed byte" 1 journal verify --state "$work/copy"
complained "verify names the event" 'event'
run "a changed record isn't replayed" 1 journal replay --state "$work/copy"
run "nor copied" 1 journal copy --from "$work/copy" --to "$work/copy2"

finish
