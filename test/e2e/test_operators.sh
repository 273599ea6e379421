#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# test_operators.sh: nodes taken out of service and put back, drains and bookings, quotas of projects: by suan and by HTTP
# against a real daemon, what is refused and why, and that all of it outlives a crash.
. "$(dirname "$0")/lib.sh"

cat >"$pool" <<'END'
pool: operators
kinds:
  test-card: {vendor: test, class: general, memory_gib: 16}
centres:
  - name: here
    region: beijing
    engine: {type: local}
    nodes:
      - {count: 2, kind: test-card, cards: 2, cpus: 64, memory_gib: 64}
  - name: far away east
    engine: {type: simulated, startup: 10ms}
    nodes:
      - {count: 4, kind: h800, cards: 8, cpus: 128, memory_gib: 1024}
projects:
  - {name: lab, weight: 2}
  - {name: vision, parent: lab, cohort: shared, nominal_quota: {test-card: 2}, borrowing_limit: {test-card: 0}}
  - {name: speech, parent: lab, cohort: shared, nominal_quota: {test-card: 2}}
  - {name: default}
END

. "$(dirname "$0")/lib-cli.sh"

# ask METHOD PATH [BODY]: by HTTP with the token: the status, and the answer in $work/out1.
ask() {
	local body=()
	[ $# -gt 2 ] && body=(-H 'Content-Type: application/json' -d "$3")
	curl -s -m 30 -o "$work/out1" -w '%{http_code}' -X "$1" -H "Authorization: Bearer $(cat "$state/token")" "${body[@]}" "$SUAN_URL$2"
}

# problem NAME STATUS FIELD METHOD PATH [BODY]: what is refused, and which field it names.
problem() {
	local name=$1 status=$2 field=$3
	shift 3
	is "$name: status" "$(ask "$@")" "$status"
	json "$name: field" .field "\"$field\""
}

# ---- Without a daemon: what is wrong by itself ----

for verb in "node cordon" "node uncordon" "node down" "node up" drain book unbook; do
	# shellcheck disable=SC2086
	run "$verb --help" 0 $verb --help
	said "$verb --help shows its usage" "^suan $verb "
	# shellcheck disable=SC2086
	run "$verb without a word" 2 $verb
	complained "$verb says what is missing" 'is missing'
	# shellcheck disable=SC2086
	run "$verb with an unknown option" 2 $verb here/0 --jsn
	complained "$verb names the option that was meant" 'did you mean --json\?'
done
run "node alone" 2 node
run "a verb of nodes that isn't one" 2 node cordn here/0
complained "it names the one that was meant" 'did you mean node cordon\?'
run "a node without a centre" 2 node cordon 3
complained "it says what a node looks like" 'CENTRE/NUMBERS'
run "a node without a number" 2 node cordon here/
run "a number that is none" 2 node cordon here/x
run "a range that falls" 2 node cordon here/3-1
run "two ranges at once" 2 node cordon here/0,2
complained "it says that one is taken" 'one node or one range'
run "a booking for nobody" 2 book here/0 --until +1h
complained "it says how to drain" 'suan drain'
run "a booking without an end" 2 book here/0 --project vision
complained "it says what to say" '--until is missing'
run "a drain from when" 2 drain here/0 --from yesterday
complained "it names the option" '--from: "yesterday": expected an instant'
run "a duration without its unit" 2 drain here/0 --until +2
complained "it names that option" '--until: "2": .*2h'
run "an end before the begin" 2 drain here/0 --from +2h --until +1h
complained "it names the end" '--until: .* after --from'
run "a booking's ID that is none" 2 unbook three
run "no daemon" 3 bookings

if ! start_daemon "$pool"; then
	ok "the daemon starts" 1
	finish
fi

# ---- Nodes ----

run "nodes" 0 nodes --json
json "all are up" '[.nodes[] | [.state, .note, .booking]] | unique' '[["up",null,null]]'
run "cordon a range" 0 node cordon here/0-1 --note "new fans"
said "it says what it did" '^here/0-1 cordoned$'
run "the same again" 0 node cordon here/0-1 --note "new fans"
run "nodes of the centre" 0 nodes --centre here --json
json "they are cordoned, with the note" '[.nodes[] | [.node, .state, .note]]' '[["0","cordoned","new fans"],["1","cordoned","new fans"]]'
run "nodes as a table" 0 nodes
said "the table shows it" '^here +0 .* cordoned +new fans$'
job one 'resources: {accelerators: test-card:1}' 'time: 5m' 'run: "true"'
run "a job for cordoned nodes" 0 submit "$work/one.yaml"
waits=$(cat "$work/out1")
sleep 0.3
run "it waits" 0 job "$waits" --json
json "since they are cordoned" '[.state, .reason.code]' '["queued","booked"]'
run "explain" 0 explain "$waits"
said "it says so" 'is queued: booked'
said "and what would change it" 'to change +.*cordon'
run "uncordon one, as JSON" 0 node uncordon here/1 --json
json "it says what it did" '.' '{"centre":"here","nodes":"1","state":"up","note":null}'
run "the job starts" 0 wait "$waits"
run "where" 0 job "$waits" --json
json "on the node that is up" '[.placement[].node]' '["1"]'
run "put the other back" 0 node uncordon here/0

run "a centre that isn't there" 1 node cordon her/0
complained "it names the centre" 'centre: "her"'
run "a node that isn't there" 1 node cordon here/2
complained "it says which there are" 'nodes: 2: here has nodes 0 to 1'
run "a range that is too long" 1 node down here/1-7
run "nothing was done" 0 nodes --centre here --json
json "all are up again" '[.nodes[].state]' '["up","up"]'

run "a centre with blanks in its name" 0 node cordon "far away east/2" --note "风扇"
run "its nodes" 0 nodes --centre "far away east" --json
json "the very one is cordoned" '[.nodes[] | select(.state != "up") | [.node, .note]]' '[["2","风扇"]]'
run "and back" 0 node up "far away east/2"

job long 'resources: {accelerators: test-card:2}' 'time: 5m' 'run: sleep 300' 'recovery: {on_lost: rerun, max_restarts: 2}'
run "a job that runs long" 0 submit "$work/long.yaml"
long=$(cat "$work/out1")
becomes "$long" .state active
node=$(suan job "$long" --json | jq -r '.placement[0].node')
run "its node fails" 0 node down "here/$node" --note "smoke"
becomes "$long" .attempt 2
becomes "$long" .state active
is "it runs on the other node" "$(suan job "$long" --json | jq -r '.placement[0].node')" $((1 - node))
run "uncordon what is down" 1 node uncordon here/0-1
complained "it says that it is down" "node $node is down"
run "cancel it" 0 cancel "$long"
curl -s -m 30 "$SUAN_URL/metrics" >"$work/metrics"
is "metrics count the nodes by state" "$(grep -c -e '^suan_nodes{state="up"} 5$' -e '^suan_nodes{state="down"} 1$' "$work/metrics")" 2
run "put it back" 0 node up "here/$node"
run "wait for the cancel" 1 wait "$long"

# ---- Bookings ----

run "no bookings" 0 bookings
complained "it says so" 'no bookings'
run "a drain" 0 drain here/0 --until +2h --name fans
said "it prints the id alone" '^1$'
run "a booking for a project" 0 book here/1 --project vision --from now --until +1h --json
json "it is that" '[.id, .name, .project, .centre, .nodes]' '[2,"vision","vision","here","1"]'
run "bookings" 0 bookings
said "the drain" '^ *1 +fans +\(drain\) +here +0 '
said "the booking" '^ *2 +vision +vision +here +1 '
run "bookings as JSON" 0 bookings --json
json "both" '[.bookings[] | [.id, .project]]' '[[1,null],[2,"vision"]]'
run "the nodes name them" 0 nodes --centre here --json
json "each its own" '[.nodes[].booking.id]' '[1,2]'
run "a job of another project" 0 submit "$work/one.yaml"
other=$(cat "$work/out1")
job ours 'project: vision' 'resources: {accelerators: test-card:1}' 'time: 5m' 'run: "true"'
run "a job of that project" 0 submit "$work/ours.yaml" --wait
run "where it ran" 0 job "$(cat "$work/out1")" --json
json "on the booked node" '[.state, .placement[].node]' '["completed","1"]'
run "the other's job waits" 0 job "$other" --json
json "for the bookings" '[.state, .reason.code]' '["queued","booked"]'

kill_daemon
start_daemon "$pool"
ok "the daemon is back after a crash" $?
run "the bookings too" 0 bookings --json
json "both, as they were" '[.bookings[].id]' '[1,2]'
run "a booking of nodes that are booked" 1 book here/0-1 --project speech --until +1h
complained "it names the other" 'nodes: booking 1 \(fans\)'
run "a booking for a project that isn't there" 1 book here/1 --project visio --from +3h --until +4h
complained "it names the project" 'project: "visio"'
run "a booking at a centre that isn't there" 1 book nowhere/1 --project vision --until +4h
complained "it names the centre too" 'centre: "nowhere"'
run "a drain of nodes that aren't there" 1 drain here/0-5
complained "it says which there are here too" 'nodes: 5: here has nodes 0 to 1'
run "take one back" 0 unbook 2
said "it says so" '^2 taken back$'
run "twice" 1 unbook 2
complained "it isn't there any more" 'there is no such booking'
run "the other's job runs now" 0 wait "$other"
run "take the other back" 0 unbook 1 --json
json "it says which" '.id' 1

run "a job on a node" 0 submit "$work/long.yaml"
long=$(cat "$work/out1")
becomes "$long" .state active
run "a booking over what runs" 1 book here/0-1 --project vision --until +1h
complained "it names the job" "job $long may still run"
run "a drain over what runs" 0 drain here/0-1 --until +1h
drain=$(cat "$work/out1")
becomes "$long" .state active
run "take it back" 0 unbook "$drain"
run "end the job" 0 cancel "$long"
run "it is over" 1 wait "$long"
job yields 'resources: {accelerators: test-card:1}' 'time: 5h' 'preemptible_after: 10m' 'run: sleep 300'
run "a drain of all that begins later" 0 drain here/0-1 --from +1h
drain=$(cat "$work/out1")
run "who may be stopped is told" 0 submit --dry-run "$work/yields.yaml"
said "until when" 'because +on what is kept for later: it is stopped before .*Z, if that is needed then'
run "the same in JSON" 0 submit --dry-run "$work/yields.yaml" --json
json "a start, and an end" '[.start_at, .lent_until] | map(type)' '["string","string"]'
run "who may be stopped" 0 submit "$work/yields.yaml"
yields=$(cat "$work/out1")
run "is lent them" 0 job "$yields"
said "and it is told so" '^ *lent until +in 1h'
run "take it back" 0 unbook "$drain"
run "end it" 0 cancel "$yields"
run "it is over too" 1 wait "$yields"

# ---- By HTTP ----

is "cordon without a token" "$(curl -s -m 30 -o /dev/null -w '%{http_code}' -X POST "$SUAN_URL/v1/nodes/here/0/cordon")" 401
is "unbook without a token" "$(curl -s -m 30 -o /dev/null -w '%{http_code}' -X DELETE "$SUAN_URL/v1/bookings/1")" 401
is "cordon without a body" "$(ask POST /v1/nodes/here/0/cordon)" 200
is "uncordon with one" "$(ask POST /v1/nodes/here/0/uncordon '{"last": 1}')" 200
json "it says which nodes" '[.nodes, .state]' '["0-1","up"]'
problem "a number that is none" 422 number POST /v1/nodes/here/x/cordon
problem "a node that isn't there" 404 nodes POST /v1/nodes/here/2/cordon
problem "a centre that isn't there" 404 centre POST /v1/nodes/her/0/cordon
problem "an unknown key" 422 lst POST /v1/nodes/here/0/cordon '{"lst": 1}'
problem "a range that falls" 422 last POST /v1/nodes/here/1/cordon '{"last": 0}'
problem "a note that is no text" 422 note POST /v1/nodes/here/1/cordon '{"note": [1]}'
problem "a filter without a value" 400 state GET "/v1/jobs?state"
problem "a wait that says no time" 400 timeout_s GET "/v1/jobs/1/wait?timeout_s"
problem "a filter that is there twice" 400 limit GET "/v1/jobs?limit=1&state=queued&limit=2"
problem "a zero byte" 400 path POST /v1/nodes/he%00re/1/cordon
problem "an escaped slash elsewhere" 400 path GET /v1%2fnodes
problem "a wrong method" 405 path GET /v1/nodes/here/1/cordon
problem "no booking" 400 body POST /v1/bookings ''
problem "no centre" 422 centre POST /v1/bookings '{}'
problem "no nodes" 422 nodes POST /v1/bookings '{"centre": "here"}'
problem "an end that is over" 422 until POST /v1/bookings '{"centre": "here", "nodes": "0", "until": "2020-01-01T00:00:00Z"}'
problem "a project that isn't there" 422 project POST /v1/bookings \
	'{"centre": "here", "nodes": "0", "project": "x", "from": "+1h", "until": "+2h"}'
problem "a booking's number that is none" 422 id DELETE /v1/bookings/x
problem "a booking that isn't there" 404 booking DELETE /v1/bookings/77
is "a booking" "$(ask POST /v1/bookings '{"centre": "far away east", "nodes": "0-1,3", "from": "+1h", "until": null, "project": null}')" 201
json "as it was asked for" '[.name, .project, .nodes, .until]' '["drain",null,"0-1,3",null]'
id=$(jq .id "$work/out1")
is "and gone" "$(ask DELETE "/v1/bookings/$id")" 200

# ---- Quotas ----

job quota 'project: vision' 'resources: {accelerators: test-card:2}' 'time: 5m' 'run: sleep 300'
run "a job that fills its project's quota" 0 submit "$work/quota.yaml"
first=$(cat "$work/out1")
becomes "$first" .state active
run "another one" 0 submit "$work/quota.yaml"
second=$(cat "$work/out1")
sleep 0.3
run "it waits, though cards are free" 0 job "$second" --json
json "for the quota" '[.state, .reason.code]' '["queued","quota"]'
run "explain it" 0 explain "$second"
said "it says quota" 'is queued: quota'
said "and what would change that" 'to change +.*project'
run "projects as JSON" 0 projects --json
json "what is held counts upwards" \
	'[.projects[] | select(.name == "lab" or .name == "vision") | [.name, .parent, .weight, (.held[0].cards // 0)]] | sort' \
	'[["lab",null,2,2],["vision","lab",1,2]]'
json "the quota and its use" \
	'[.projects[] | select(.name == "vision") | .quotas[] | [.kind, .nominal_quota, .borrowing_limit, .used, .borrowed, .may_borrow, .cohort_used, .cohort_nominal]]' \
	'[["test-card",2,0,2,0,0,2,4]]'
json "a share" '[.projects[] | select(.name == "vision") | .share > 0 and .share < 1]' '[true]'
run "projects" 0 projects
said "a tree" '^  vision +shared +1 +0\.[0-9]+ +test-card:2 +test-card:2 +- +1 +1$'
job borrow 'project: speech' 'resources: {accelerators: test-card:1}' 'time: 5m' 'run: "true"'
run "another project's quota is its own" 0 submit "$work/borrow.yaml" --wait
run "end those jobs" 0 cancel "$first" "$second"
run "they end" 1 wait "$first" "$second"

# ---- Preemption ----

job yields 'project: speech' 'num_nodes: 2' 'resources: {accelerators: test-card:1}' 'time: 5m' 'preemptible_after: 0s' 'recovery: {max_restarts: 0}' \
	'run: |' '  trap "echo saved; exit 0" TERM' '  echo "attempt $SUAN_ATTEMPT"; sleep 300 & wait'
job urgent 'project: default' 'priority: 500' 'resources: {accelerators: test-card:2}' 'time: 5m' 'run: sleep 1'
run "a job that yields" 0 submit "$work/yields.yaml"
yields=$(cat "$work/out1")
becomes "$yields" .state active
becomes "$yields" .native_state running
run "a job that goes before it" 0 submit "$work/urgent.yaml"
urgent=$(cat "$work/out1")
becomes "$yields" .cause preempted
run "it gets what it wants" 0 wait "$urgent"
becomes "$yields" .attempt 2
becomes "$yields" .state active
for ((i = 0; i < 100; i++)); do suan logs "$yields" 2>/dev/null | grep -q attempt && break; sleep 0.1; done
run "its first attempt" 0 logs "$yields" --attempt 1
is "was told to save its work" "$(cat "$work/out1")" $'attempt 1\nsaved'
run "its second" 0 logs "$yields"
is "knows that it is that" "$(cat "$work/out1")" "attempt 2"
is "metrics count it" "$(curl -s -m 30 "$SUAN_URL/metrics" | grep '^suan_preempted_total')" "suan_preempted_total 1"
run "end it" 0 cancel "$yields"
run "it ends" 1 wait "$yields"

# What was done is in the record, in words.
stop_daemon
is "it stops when it is told" $? 0
run "the record" 0 journal cat --state "$state"
is "nodes" "$(jq -c 'select(.type == "node") | [.centre, .nodes, .state, .note]' "$work/out1" | head -n 2)" \
	'["here","0-1","cordoned","new fans"]
["here","1","up",null]'
is "bookings" "$(jq -c 'select(.type == "booked") | [.booking, .name, .project, .centre, .nodes]' "$work/out1" | head -n 2)" \
	'[1,"fans",null,"here","0"]
[2,"vision","vision","here","1"]'
is "and taken back" "$(jq -c 'select(.type == "unbooked") | [.booking, .cause]' "$work/out1" | head -n 2)" '[2,"cancel"]
[1,"cancel"]'
is "whom the reservation of the urgent job preempts" "$(jq -c "select(.type == \"reserved\" and .job == $urgent) | .preempts" "$work/out1" | tail -n 1)" "[$yields]"
is "a job that lost its node" "$(jq -c 'select(.type == "stopping" and .cause == "node") | .job' "$work/out1" | wc -l)" 1
run "replay gives the same" 0 journal replay --state "$state" --check
finish
