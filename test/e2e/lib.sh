# SPDX-License-Identifier: Apache-2.0
# lib.sh: what the end-to-end tests share: a daemon of their own, in a folder of their own, and TAP.
# Sourced with SUAN_BUILD set. Needs bash, curl, jq.
set -u

: "${SUAN_BUILD:?the build folder, with suan and suand}"
work=$(mktemp -d "${TMPDIR:-/tmp}/suan-e2e-XXXXXX")
state=$work/state
pool=$work/pool.yaml
under=() # what the daemon is run by: a program that becomes it
daemon_pid=
cases=0
case_failures=0

# The token is kept by address in the user's configuration folder: these daemons have one of their own.
export HOME=$work/home XDG_CONFIG_HOME=$work/home/.config
unset SUAN_TOKEN XDG_STATE_HOME
mkdir -p "$XDG_CONFIG_HOME"

suan() { "$SUAN_BUILD/suan" "$@"; }

# free_port: a port of this machine that nobody listens on.
free_port() {
	local port
	while :; do
		port=$((20000 + ($$ * 7 + $(date +%N | sed 's/^0*//;s/^$/0/')) % 12000))
		(exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || { echo "$port"; return; }
	done
}

port=$(free_port)
export SUAN_URL=http://127.0.0.1:$port

# local_pool COUNT CARDS CPUS GIB: the pool file is this machine, as so many virtual nodes.
local_pool() {
	cat >"$pool" <<-END
		pool: test
		kinds:
		  test-card: {vendor: test, class: general, memory_gib: 16}
		centres:
		  - name: here
		    region: test
		    engine: {type: local}
		    nodes:
		      - {count: $1, kind: test-card, cards: $2, cpus: $3, memory_gib: $4}
	END
}

# spawn_daemon POOL [WORD...]: starts one, and doesn't wait for it.
spawn_daemon() {
	local pool=$1
	shift
	: >"$work/out"
	"${under[@]}" "$SUAN_BUILD/suand" --pool "$pool" --state "$state" --listen "127.0.0.1:$port" "$@" >"$work/out" 2>>"$work/log" &
	daemon_pid=$!
}

# start_daemon POOL [WORD...]: returns once it serves, or 1.
start_daemon() {
	local i
	spawn_daemon "$@"
	for ((i = 0; i < 1200; i++)); do
		grep -q '^listening on' "$work/out" && return 0
		kill -0 "$daemon_pid" 2>/dev/null || break
		sleep 0.05
	done
	echo "# suand did not come up:"
	tail -n 20 "$work/out" "$work/log" | sed 's/^/# /'
	return 1
}

# kill_daemon: as a crash would.
kill_daemon() {
	kill -KILL "$daemon_pid"
	wait "$daemon_pid" 2>/dev/null
	daemon_pid=
}

# stop_daemon: as an operator would; returns its exit status.
stop_daemon() {
	local status
	[ -n "$daemon_pid" ] || return 0
	kill -TERM "$daemon_pid"
	wait "$daemon_pid"
	status=$?
	daemon_pid=
	return $status
}

# ok NAME STATUS: one case; what explains a failure was printed before it, behind a #.
ok() {
	cases=$((cases + 1))
	if [ "$2" = 0 ]; then
		echo "ok $cases - $1"
	else
		echo "not ok $cases - $1"
		case_failures=$((case_failures + 1))
	fi
}

# is NAME GOT EXPECTED
is() {
	[ "$2" = "$3" ] || printf '# got      %s\n# expected %s\n' "$2" "$3"
	[ "$2" = "$3" ]
	ok "$1" $?
}

# Ends what still runs, says how many cases there were, and keeps the folder only after a failure.
finish() {
	[ -n "$daemon_pid" ] && kill_daemon
	echo "1..$cases"
	if [ "$case_failures" = 0 ]; then
		rm -rf "$work"
		exit 0
	fi
	echo "# what it left is in $work"
	exit 1
}
