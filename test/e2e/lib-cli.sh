# SPDX-License-Identifier: Apache-2.0
# lib-cli.sh: what tests of the command line have in common, behind lib.sh: suan is run with a time limit, and what it said is looked at.

# run NAME STATUS WORD...: runs suan, keeps what it said in $work/out1 and $work/err1, and checks its exit status.
run() {
	local name=$1 expected=$2 status
	shift 2
	timeout 60 "$SUAN_BUILD/suan" "$@" >"$work/out1" 2>"$work/err1" </dev/null
	status=$?
	[ $status = "$expected" ] || sed 's/^/# /' "$work/out1" "$work/err1"
	is "$name: exit status" $status "$expected"
}

# said NAME PATTERN / complained NAME PATTERN: of the last run, on stdout or stderr.
said() {
	grep -Eq -- "$2" "$work/out1" || sed 's/^/# out: /' "$work/out1"
	grep -Eq -- "$2" "$work/out1"
	ok "$1" $?
}

complained() {
	grep -Eq -- "$2" "$work/err1" || sed 's/^/# err: /' "$work/err1"
	grep -Eq -- "$2" "$work/err1"
	ok "$1" $?
}

# json NAME FILTER EXPECTED: of the last run's only document.
json() {
	is "$1" "$(jq -s -c "if length == 1 then .[0] | $2 else \"not one document\" end" "$work/out1" 2>&1)" "$3"
}

# job NAME LINES...: a job file.
job() {
	local name=$1
	shift
	printf '%s\n' "name: $name" "$@" >"$work/$name.yaml"
}

# becomes ID FILTER EXPECTED: waits until a job is so.
becomes() {
	local i got
	for ((i = 0; i < 300; i++)); do
		got=$(suan job "$1" --json | jq -r "$2")
		[ "$got" = "$3" ] && break
		kill -0 "$daemon_pid" 2>/dev/null || break
		sleep 0.1
	done
	is "job $1: $2" "$got" "$3"
}
