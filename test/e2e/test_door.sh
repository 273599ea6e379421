#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# test_door.sh: who gets in, and what gets out: the state directory, the token, TLS, and where a secret can be found. Links in job
# output are test_links.sh's. What comes over the wire by force is in test_door.c.
. "$(dirname "$0")/lib.sh"

cat >"$work/pool.yaml" <<'END'
pool: door
centres:
  - {name: here, engine: {type: local}, nodes: [{count: 2, kind: cpu-core, cards: 4, cpus: 4}]}
END
pool=$work/pool.yaml

# refused WORDS... : suand ends by itself, with a status other than 0, and says one of its words.
refused() {
	local says=$1 status
	shift
	timeout 20 "$SUAN_BUILD/suand" --pool "$pool" "$@" >"$work/out" 2>"$work/said"
	status=$?
	[ "$status" = 1 ] || [ "$status" = 2 ] || { echo "# status $status"; return 1; }
	grep -q "$says" "$work/said" || { sed 's/^/# /' "$work/said"; return 1; }
}

token() { cat "$state/token"; }
post() { curl -s -o /dev/null -w '%{http_code}' -H "Authorization: Bearer $1" -H 'Content-Type: application/json' -d "$2" "$SUAN_URL/v1/jobs"; }

# ---- The state directory and the token ----

mkdir -m 770 "$work/loose"
refused 'others may write in it' --state "$work/loose" --listen "127.0.0.1:$port"
ok "a state directory in which others may write is refused" $?
if [ "$(id -u)" = 0 ]; then
	mkdir -m 700 "$work/foreign"
	chown 65534 "$work/foreign"
	refused "expected a directory of user 0's own" --state "$work/foreign" --listen "127.0.0.1:$port"
	ok "a state directory of somebody else is refused" $?
else
	ok "a state directory of somebody else is refused # SKIP only root can give one away" 0
fi
refused 'beyond loopback only with' --state "$work/loose" --listen 192.0.2.1:7480
ok "an address beyond loopback is refused without TLS, with what mends it" $?

start_daemon "$pool" || exit 1
is "the state directory is its user's alone" "$(stat -c %a "$state")" 700
is "nothing in it is for others" "$(find "$state" ! -type l -perm /077 | head -n 3)" ""
job='{"run":"true","resources":{"accelerators":"cpu-core:1"}}'
is "its token lets in" "$(post "$(token)" "$job")" 201
is "another doesn't" "$(post "$(token | tr 0-9a-f 1-9a-f0)" "$job")" 401
is "a page by another name of ours can't read" "$(curl -s -o /dev/null -w '%{http_code}' -H 'Host: rebound.example' "$SUAN_URL/v1/jobs")" 403
is "a page of another site can't write" "$(curl -s -o /dev/null -w '%{http_code}' -H "Origin: http://evil.example" -H "Authorization: Bearer $(token)" -H 'Content-Type: application/json' -d "$job" "$SUAN_URL/v1/jobs")" 403
old=$(token)
stop_daemon
start_daemon "$pool" --new-token || exit 1
is "after --new-token the old one is shut out" "$(post "$old" "$job")" 401
is "and the new one lets in" "$(post "$(token)" "$job")" 201

# ---- Secrets ----

canary=$(head -c 16 /dev/urandom | od -An -tx1 | tr -d ' \n')
printf '%s\n' "$canary" >"$work/canary" # grep reads it from here, or it would find itself

# where_found NAME: says on stderr every place of those below where the canary is; returns whether there is none.
found_in_files() { grep -rlFf "$work/canary" "$state" "$work/log" "$work/out" 2>/dev/null; }

found_in_answers() {
	local path
	for path in jobs pool centres nodes cards links projects "events?since=0" "jobs/$1" "jobs/$1/explain" "jobs/$1/logs"; do
		curl -s -m 2 "$SUAN_URL/v1/$path" | grep -qFf "$work/canary" && echo "$path"
	done
	curl -s "$SUAN_URL/metrics" | grep -qFf "$work/canary" && echo metrics
	suan journal cat --state "$state" 2>/dev/null | grep -qFf "$work/canary" && echo "journal cat"
	suan job "$1" --json | grep -qFf "$work/canary" && echo "suan job"
}

# Processes that show it, but for the job's own.
found_in_processes() {
	local file
	grep -lFf "$work/canary" /proc/[0-9]*/cmdline 2>/dev/null
	for file in /proc/[0-9]*/environ; do # one look at each, for it may end any moment
		tr '\0' '\n' 2>/dev/null <"$file" >"$work/environ" || continue
		grep -qFf "$work/canary" "$work/environ" && ! grep -q '^SUAN_JOB_ID=' "$work/environ" && echo "$file"
	done 2>/dev/null
	rm -f "$work/environ"
}

# Looks through the daemon's memory, as root can, and prints where it is.
can_look() { "$SUAN_BUILD/test/e2e_test_door_c" scan "$daemon_pid" "$work/canary" >/dev/null 2>&1; [ $? != 3 ]; }
found_in_memory() { "$SUAN_BUILD/test/e2e_test_door_c" scan "$daemon_pid" "$work/canary"; }

# The same of a dump by a debugger; a sanitizer's would be of terabytes.
can_dump() { [ "$(id -u)" = 0 ] && command -v gcore >/dev/null && ! grep -q __asan_init "$SUAN_BUILD/suand"; }

found_in_dump() {
	gcore -o "$work/core" "$daemon_pid" >/dev/null 2>&1 || { echo "no dump could be taken"; return; }
	grep -acFf "$work/canary" "$work/core.$daemon_pid" | grep -v '^0$'
	rm -f "$work/core.$daemon_pid"
}

cat >"$work/secret.yaml" <<'END'
name: canary
resources: {accelerators: "cpu-core:1"}
secrets: {HF_TOKEN: null}
run: |
  [ "${#HF_TOKEN}" = 32 ] && echo "it has one"
  touch started
  while [ ! -e go ]; do sleep 0.05; done
END
mkdir "$work/dir"
id=$(HF_TOKEN=$canary suan submit <(sed "\$a workdir: $work/dir" "$work/secret.yaml"))
for ((i = 0; i < 200; i++)); do
	[ -e "$work/dir/started" ] && break
	sleep 0.05
done
[ -e "$work/dir/started" ]
ok "a job with a secret runs" $?
files=$(found_in_files)
is "while it runs, the secret is in one file, of mode 0600" "$(stat -c '%a' $files 2>/dev/null)" 600
is "and that is in the folder of secrets" "$(dirname "$files")" "$state/secrets"
is "no answer of the API has it" "$(found_in_answers "$id")" ""
is "no process but the job shows it" "$(found_in_processes)" ""
supervisor=$(pgrep -P "$daemon_pid" -f suan-supervisor | head -n 1)
is "the daemon leaves no core dump" "$(awk '/^Max core file size/ { print $5 }' "/proc/$daemon_pid/limits")" 0
if [ "$(id -u)" = 0 ] && command -v setpriv >/dev/null; then
	# Not dumpable: what it is belongs to root, whoever it runs as.
	is "nor the supervisor: /proc shows neither's memory to their user" \
		"$(stat -c %u "/proc/$daemon_pid/mem" "/proc/${supervisor:-$daemon_pid}/mem" | sort -u)" 0
fi
if can_look; then
	is "the daemon's memory hasn't it any more, once the job has it" "$(found_in_memory)" ""
else
	ok "the daemon's memory hasn't it any more, once the job has it # SKIP only root may look" 0
fi
touch "$work/dir/go"
suan wait "$id" >/dev/null
is "it had it" "$(suan logs "$id")" "it has one"
for ((i = 0; i < 100; i++)); do
	[ -z "$(found_in_files)" ] && break
	sleep 0.05
done
is "when it is over, the secret is nowhere" "$(found_in_files; found_in_processes)" ""

# Other ways in: literally, with escapes (which the reader of YAML must copy), in a batch, in a body in many pieces, refused.
head=${canary:0:16} tail=${canary:16}
escaped="$(printf '%s' "$head" | sed 's/./\\u00&/g;s/\\u00\(.\)/\1/g')$tail"
printf "resources: {accelerators: cpu-core:1}\nrun: \"true\"\nsecrets: {A: '%s', B: \"\\x20%s\"}\n" "$canary" "$escaped" >"$work/literal.yaml"
one=$(suan submit "$work/literal.yaml") && suan wait "$one" >/dev/null
is "written out in the job file" "$?" 0
batch="{\"jobs\":[{\"run\":\"true\",\"resources\":{\"accelerators\":\"cpu-core:1\"},\"secrets\":{\"A\":\"$canary\"}}]}"
pad=$(head -c 100000 /dev/zero | tr '\0' x)
printf '{"run":"true","resources":{"accelerators":"cpu-core:1"},"envs":{"P":"%s"},"secrets":{"A":"%s"},"setup":": %s"}' \
	"$pad" "$canary" "$pad" >"$work/long"
printf '{"run":"true","secrets":{"A":"%s"},"nonsense":1}' "$canary" >"$work/refused"
printf '%s' "$batch" >"$work/batch"
# As YAML, which the daemon reads itself: in every style, folded, with escapes, and where the text turns out to be none.
{
	printf 'run: "true"\nresources: {accelerators: "cpu-core:1"}\nsecrets:\n  A: %s\n  B: "\\x20%s"\n' "$canary" "$escaped"
	printf "  C: '%s'\n  D: |\n    a%s\n    %s\n  E: >-\n    %s\n    %s\n" "$canary" "$pad" "$canary" "$canary" "$canary"
	printf '# %s\n' "$pad" # a thread that waits shows in its registers the end of what it copied last
} >"$work/yaml"
{ cat "$work/yaml" && printf 'a: [\n# %s\n' "$pad"; } >"$work/broken"
for form in batch long refused yaml broken; do
	code=$(curl -s -o "$work/answer" -w '%{http_code}' -H "Authorization: Bearer $(token)" -H 'Content-Type: application/json' \
		--data-binary "@$work/$form" "$SUAN_URL/v1/jobs")
	[ "$code" = 201 ] || [ "$form$code" = refused422 ] || [ "$form$code" = broken400 ] || { echo "# $form: $code"; false; }
	ok "with a secret: $form" $?
	is "which isn't in the answer" "$(grep -cFf "$work/canary" "$work/answer")" 0
done
suan wait $(suan jobs --json | jq -r '.jobs[].id') >/dev/null
sleep 0.3
is "and it is nowhere" "$(found_in_files; found_in_processes)" ""
if can_look; then
	is "nor in the daemon's memory" "$(found_in_memory)" ""
	printf '%s\n' "$(token)" >"$work/known"
	"$SUAN_BUILD/test/e2e_test_door_c" scan "$daemon_pid" "$work/known" >/dev/null
	is "where what must be there is found" "$?" 1
else
	ok "nor in the daemon's memory # SKIP only root may look" 0
fi
if can_dump; then
	is "nor in a core dump" "$(found_in_dump)" ""
else
	ok "nor in a core dump # SKIP needs root, gdb and no sanitizer" 0
fi
rm -f "$work/literal.yaml" "$work/long" "$work/refused" "$work/batch" "$work/yaml" "$work/broken"

stop_daemon

# ---- TLS ----

# As in a network of its own, where 192.0.2.1 is this machine.
cat >"$work/tls.sh" <<'END'
ip link set lo up && ip addr add 192.0.2.1/32 dev lo || exit 3
. "$1/lib-tls.sh"
END
cat >"$work/lib-tls.sh" <<'END'
cd "$work" || exit 1
openssl ecparam -name prime256v1 -genkey -noout -out ca.key 2>/dev/null
openssl req -x509 -new -key ca.key -subj '/CN=test CA' -days 2 -out ca.pem 2>/dev/null
openssl ecparam -name prime256v1 -genkey -noout -out server.key 2>/dev/null
openssl req -new -key server.key -subj /CN=suan -out server.csr 2>/dev/null
printf 'subjectAltName=DNS:suan.example,IP:192.0.2.1,IP:127.0.0.1\n' >ext
openssl x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile ext -out server.pem 2>/dev/null
chmod 600 server.key ca.key
listen=$2
refused() {
	timeout 20 "$SUAN_BUILD/suand" --pool pool.yaml --state st --listen "$listen" "${@:2}" >out 2>said
	[ $? != 124 ] && grep -q -- "$1" said && echo yes
}
echo "half=$(refused '--tls-key is missing' --tls-cert server.pem)"
chmod 640 server.key
echo "mode=$(refused 'others may use it' --tls-cert server.pem --tls-key server.key)"
chmod 600 server.key
echo "pair=$(refused "isn't the key of the certificate" --tls-cert server.pem --tls-key ca.key)"
"$SUAN_BUILD/suand" --pool pool.yaml --state st --listen "$listen" --tls-cert server.pem --tls-key server.key >out 2>>log &
pid=$!
for ((i = 0; i < 400; i++)); do grep -q '^listening on' out && break; sleep 0.05; done
url=https://$listen
export SUAN_URL=$url
unset SUAN_TOKEN
suan() { "$SUAN_BUILD/suan" "$@"; }
suan pool >/dev/null 2>said
echo "unknown=$? $(grep -c "certificate isn't trusted" said)"
SUAN_CACERT=/nonexistent suan pool >/dev/null 2>said
echo "nofile=$? $(grep -c SUAN_CACERT said)"
export SUAN_CACERT=$work/ca.pem
printf 'resources: {accelerators: "cpu-core:1"}\nrun: echo hello\n' >hello.yaml
id=$(suan submit --wait hello.yaml 2>/dev/null)
echo "runs=$? $(suan logs "$id")"
port=${listen##*:} token=$(cat st/token)
as() { curl -s -m 10 -o /dev/null -w '%{http_code}' --cacert ca.pem --resolve "suan.example:$port:${listen%:*}" "$@"; }
echo "read=$(as "$url/v1/pool") $(as -H "Authorization: Bearer $token" "$url/v1/pool") $(as "$url/livez")"
echo "page=$(as "$url/") $(as "$url/metrics") $(as "$url/v1/events?since=0")"
echo "name=$(as "https://suan.example:$port/livez") $(as -H 'Host: evil.example' "$url/livez") $(as -H "Origin: https://suan.example:$port" "$url/livez") $(as -H "Origin: http://suan.example:$port" "$url/livez")"
echo "old=$(as --tls-max 1.1 "$url/livez")"
echo "stream=$(curl -s -N -m 2 --cacert ca.pem -H "Authorization: Bearer $token" "$url/v1/events?since=0" | grep -c '^id: ')"
head -c 3000000 /dev/zero | tr '\0' ' ' >big
echo "large=$(as -H "Authorization: Bearer $token" -H 'Content-Type: application/yaml' --data-binary @big "$url/v1/jobs")"
SUAN_URL=http://$listen suan pool >/dev/null 2>said
echo "clear=$? $(grep -c 'in the clear' said)"
echo "plain=$(as "http://$listen/livez")"
kill "$pid"
wait "$pid"
echo "ended=$?"
END

# got NAME: what the script printed for it.
got() { sed -n "s/^$1=//p" "$work/tls.out"; }

tls_cases() {
	is "$1: a certificate without a key is refused" "$(got half)" yes
	is "$1: a key that others may read is refused" "$(got mode)" yes
	is "$1: a key of another certificate is refused" "$(got pair)" yes
	is "$1: suan doesn't trust a certificate that nobody vouched for" "$(got unknown)" "3 1"
	is "$1: it says where SUAN_CACERT names nothing" "$(got nofile)" "3 1"
	is "$1: with SUAN_CACERT a job runs" "$(got runs)" "0 hello"
	is "$1: TLS before 1.2 isn't spoken" "$(got old)" 000
	is "$1: the name of the certificate is ours, others aren't; nor is an origin in the clear" "$(got name)" "200 403 200 403"
	is "$1: events stream" "$([ "$(got stream)" -gt 3 ] && echo yes)" yes
	is "$1: a body of 3 MB is read, and refused for what it is" "$(got large)" 400
	is "$1: plain HTTP gets no answer" "$(got plain)" 000
	is "$1: it stops when told" "$(got ended)" 0
}

export work
if ! command -v openssl >/dev/null; then
	ok "TLS # SKIP openssl isn't installed" 0
else
	bash "$work/lib-tls.sh" "$work" "127.0.0.1:$port" >"$work/tls.out" 2>&1
	tls_cases "TLS on loopback"
	is "TLS on loopback: reads go without the token there" "$(got read)" "200 200 200"
	rm -rf "$work/st"
	sed -i 's|^\. .*|. "$1/lib-tls.sh"|' "$work/tls.sh"
	unshare -n bash "$work/tls.sh" "$work" 192.0.2.1:7480 >"$work/tls.out" 2>&1
	if [ -z "$(got ended)" ] && ! unshare -n true 2>/dev/null; then
		ok "TLS beyond loopback # SKIP this machine gives no network of its own to a test" 0
	elif ! command -v ip >/dev/null; then
		ok "TLS beyond loopback # SKIP ip isn't installed" 0
	else
		tls_cases "TLS beyond loopback"
		is "TLS beyond loopback: reads need the token, but for /livez" "$(got read)" "401 200 200"
		is "TLS beyond loopback: the page, metrics and events too" "$(got page)" "401 401 401"
		is "TLS beyond loopback: suan sends nothing in the clear" "$(got clear)" "2 1"
	fi
fi
finish
