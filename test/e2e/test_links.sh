#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# test_links.sh: links and names in job output: none leads the daemon or a supervisor to files of others. Asked twice: with the kernel's
# openat2, and with the walk that stands in for it.
. "$(dirname "$0")/lib.sh"

cat >"$work/pool.yaml" <<'END'
pool: door
centres:
  - {name: here, engine: {type: local}, nodes: [{count: 2, kind: cpu-core, cards: 4, cpus: 4}]}
END
pool=$work/pool.yaml

token() { cat "$state/token"; }

# sbatch PATTERN WORKDIR: a script with that output pattern; prints its id.
sbatch() {
	printf '#!/bin/bash\n#SBATCH --output=%s\n#SBATCH --chdir=%s\necho written\n' "$1" "$2" >"$work/script.sh"
	suan submit "$work/script.sh" 2>/dev/null
}

state_of() { suan job "$1" --json | jq -r .state; }

# A job that puts links to files of its user's in the place of its output, again and again; the daemon shows none of them. Between them
# stand its output itself, which is shown where files bear marks, and a copy of it, which is shown where they bear none.
swapped_output() {
	local id text i shown=0 leaked=0
	cat >"$work/swap.yaml" <<END
resources: {accelerators: "cpu-core:1"}
run: |
  echo plain; ln ../out.0 mine
  for ((i = 0; i < 3000; i++)); do
    ln -sf "$state/token" ../new && mv -f ../new ../out.0
    ln -f "$state/token" ../new && mv -f ../new ../out.0
    ln -f mine ../new && mv -f ../new ../out.0
    cp mine ../copy && mv -f ../copy ../out.0
  done
time: 60s
END
	id=$(suan submit "$work/swap.yaml")
	for ((i = 0; i < 300; i++)); do
		text=$(curl -s "$SUAN_URL/v1/jobs/$id/logs")
		case $text in
		*"$(token)"*) leaked=$((leaked + 1)) ;;
		plain*) shown=$((shown + 1)) ;;
		esac
	done
	suan cancel "$id" >/dev/null
	suan wait "$id" >/dev/null
	echo "# of 300 looks, $shown showed its output"
	is "a link in the place of a job's output shows no file of others" "$leaked" 0
	[ "$shown" -gt 0 ]
	ok "and its own output is shown" $?
}

# Names that lead elsewhere.
names_of_output() {
	local id path
	mkdir "$work/runs"
	printf 'precious\n' >"$work/victim"
	ln -s "$work/victim" "$work/runs/link.out"
	id=$(sbatch link.out "$work/runs")
	suan wait "$id" >/dev/null
	is "a script's output isn't written through a link" "$(cat "$work/victim") $(state_of "$id")" "precious failed"

	# Without a working folder the job has one of its own, beside the files that it is made of.
	for path in ../launch ../../../../../token; do
		id=$(curl -s -H "Authorization: Bearer $(token)" -H 'Content-Type: application/json' \
			-d "{\"script\":\"#!/bin/bash\\n#SBATCH --output=$path\\necho written\\n\"}" "$SUAN_URL/v1/jobs" | jq -r .id)
		suan wait "$id" >/dev/null
		is "nor out of a working folder of its own, to $path" \
			"$(state_of "$id") $(suan job "$id" --json | grep -c 'leads out of')" "failed 1"
	done
}

# The name flips between a file and a link to the victim while scripts open it.
flipping_output() {
	local flipper id ran not
	(while :; do
		ln -sf "$work/victim" "$work/runs/.new" && mv -f "$work/runs/.new" "$work/runs/flip.out"
		: >"$work/runs/.new" && mv -f "$work/runs/.new" "$work/runs/flip.out"
	done) &
	flipper=$!
	printf '#!/bin/bash\n#SBATCH --output=flip.out\n#SBATCH --chdir=%s\n#SBATCH --array=0-199\n#SBATCH --cpus-per-task=1\necho written\n' \
		"$work/runs" >"$work/script.sh"
	id=$(suan submit "$work/script.sh" 2>/dev/null)
	timeout 100 "$SUAN_BUILD/suan" wait "$id" >/dev/null 2>&1
	kill "$flipper"
	wait "$flipper" 2>/dev/null
	is "nor in 200 rounds of a race" "$(cat "$work/victim")" precious
	ran=$(curl -s "$SUAN_URL/v1/jobs?limit=1000&state=completed" | jq '.jobs | length') not=$(curl -s "$SUAN_URL/v1/jobs?limit=1000&state=failed" | jq '.jobs | length')
	echo "# $ran jobs have completed, $not have failed"
	[ "$ran" -gt 20 ] && [ "$not" -gt 5 ]
	ok "in which some found a file, and some a link" $?
}

# What a pattern and a name may hold.
patterns() {
	local id
	id=$(sbatch 'a%n%%s.%j.out' "$work/runs")
	suan wait "$id" >/dev/null
	[ -e "$work/runs/a0%s.$id.out" ]
	ok "%n, %% and %j in a pattern are filled in, and nothing else is" $?
	id=$(sbatch "$(printf 'x%.0s' {1..300}).out" "$work/runs")
	suan wait "$id" >/dev/null
	is "a name that is too long ends its job, with the reason" "$(state_of "$id") $(suan job "$id" --json | grep -c 'File name too long')" "failed 1"
	printf 'name: "two\\nlines"\nrun: "true"\nresources: {accelerators: cpu-core:1}\n' >"$work/newline.yaml"
	suan submit "$work/newline.yaml" >/dev/null 2>"$work/said"
	is "a name with a newline is refused" "$? $(grep -c name "$work/said")" "1 1"
	printf 'name: "100%%n %%s %%d"\nrun: "true"\nresources: {accelerators: cpu-core:1}\n' >"$work/percent.yaml"
	id=$(suan submit "$work/percent.yaml")
	suan wait "$id" >/dev/null
	is "a name with %n and %s stays as it is" "$(suan job "$id" --json | jq -r .name)" '100%n %s %d'
}

# all_with WORD...: all of it, with a daemon that runs under these words.
all_with() {
	under=("$@")
	state=$work/state$#
	rm -rf "$work/runs" "$work/victim"
	start_daemon "$pool" || exit 1
	swapped_output
	names_of_output
	flipping_output
	patterns
	stop_daemon
}

echo "# with the kernel's openat2"
all_with
echo "# without"
all_with "$SUAN_BUILD/test/e2e/old_kernel" ENOSYS

# An old container's filter says EPERM.
under=("$SUAN_BUILD/test/e2e/old_kernel" EPERM)
state=$work/refused
start_daemon "$pool" || exit 1
printf '%s\n' 'resources: {accelerators: "cpu-core:1"}' 'run: echo hello' >"$work/hello.yaml"
id=$(suan submit "$work/hello.yaml")
suan wait "$id" >/dev/null
is "where the call is forbidden, jobs run too" "$(suan logs "$id")" hello
stop_daemon
finish
