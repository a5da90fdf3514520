#!/bin/bash
# tests/integration/cli.sh [CRIER] : crier's verbs and bad input from the outside. Each refusal is a sentence that names the
# object, with a documented exit code and nothing on stdout; nothing is left running. CRIER: the program, default build/dev/crier.
set -uo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
crier=$(realpath "${1:-$root/build/dev/crier}")
folder=$(mktemp -d /tmp/crier-cli-XXXXXX)
failed=0
pids=()

# shellcheck disable=SC2317 # the trap calls it
finish() {
	local pid
	for pid in "${pids[@]}"; do
		kill "$pid" 2>/dev/null
	done
	wait
	rm -rf "$folder"
}
trap finish EXIT
cd "$folder" || exit 1

ok() { echo "ok cli/$1"; }
skip() { echo "skip cli/$1: $2"; }
not_ok() {
	echo "not ok cli/$1: $2"
	failed=1
}

# judge NAME CODE WORDS... : of the last run: its exit code, an empty stdout, and each of WORDS in at most four lines.
judge() {
	local name=$1 code=$2 word
	shift 2
	if [ "$status" -ne "$code" ]; then
		not_ok "$name" "exit $status, expected $code: $(head -c 300 err | tr '\n' ' ')"
		return
	fi
	if [ -s out ]; then
		not_ok "$name" "stdout has $(head -c 100 out | tr '\n' ' ')"
		return
	fi
	if [ "$(wc -l <err)" -gt 4 ]; then
		not_ok "$name" "$(wc -l <err) lines of diagnostics"
		return
	fi
	for word in "$@"; do
		if ! grep -qF -- "$word" err; then
			not_ok "$name" "'$word' is not in: $(head -c 300 err | tr '\n' ' ')"
			return
		fi
	done
	ok "$name"
}

# refused NAME CODE WORD... -- ARGUMENT... : runs crier and judges it.
refused() {
	local words=() name=$1 code=$2
	shift 2
	while [ "$1" != "--" ]; do
		words+=("$1")
		shift
	done
	shift
	timeout 20 "$crier" "$@" >out 2>err
	status=$?
	judge "$name" "$code" "${words[@]}"
}

usage() {
	refused unknown-verb 2 "'scheme': unknown verb; did you mean 'schema'?" "see crier --help" -- scheme
	refused unknown-flag 2 "--profil: unknown option; did you mean --profile?" "see crier --help" -- run --profil full
	refused flag-before-verb 2 "--no-such-flag: unknown option" -- --no-such-flag
	refused short-flag 2 "-x: unknown option; options start with two dashes" -- -x
	refused bad-value 2 "--hold-age: 'soon' is not a duration" "500ms" -- run --hold-age soon
	refused out-of-range 2 "--max-containers: 3 is out of range; allowed: 16 to 1048576" -- check --max-containers=3
	refused missing-value 2 "--hold-age: needs a value" -- ps --hold-age
	refused positional 2 "'extra': argument not expected" -- run extra
	refused contradiction 2 "pressure-exit-ratio: 0.95 is not below" -- run --pressure-exit-ratio 0.95
	refused unknown-type 2 "filter-type: 'container.oomm' matches no event type" -- run --filter-type container.oomm
	refused schema-argument 2 "'x': argument not expected" -- schema x
}

config_files() {
	printf 'profile: default\nhold-agee: 1s\n' >key.yaml
	refused config-unknown-key 2 "key.yaml:2:1: unknown key 'hold-agee'; did you mean 'hold-age'?" -- run --config key.yaml
	printf 'output: json\n\nhold-age: soon\n' >value.yaml
	refused config-bad-value 2 "value.yaml:3:11: hold-age: 'soon' is not a duration" -- config --check value.yaml
	printf 'profile: "default\n' >broken.yaml
	refused config-no-yaml 2 "broken.yaml:2:1: not valid YAML" -- run --config broken.yaml
	refused config-missing 2 "absent.yaml: cannot read the config file: No such file or directory" -- check --config absent.yaml
	refused config-folder 2 "$folder: the config file is not a regular file" -- check --config "$folder"
	mkfifo fifo
	refused config-fifo 2 "fifo: the config file is not a regular file" -- check --config fifo
	head -c 1048577 /dev/zero | tr '\0' '#' >long.yaml
	refused config-too-long 2 "long.yaml: the config file is longer than 1 MiB" -- config --check long.yaml
	head -c 1000 /dev/urandom >noise.yaml
	refused config-noise 2 "noise.yaml" -- config --check noise.yaml
}

recordings() {
	refused replay-no-file 2 "replay: the FILE to read is missing" -- replay
	refused replay-absent 2 "absent.rec: cannot open the recording: No such file or directory" -- replay absent.rec
	refused replay-folder 2 "$folder: is a directory" -- replay "$folder"
	head -c 4096 /dev/urandom >noise.rec
	refused replay-noise 1 "noise.rec: byte 0: not a recording of crier" -- replay noise.rec
	: >empty.rec
	refused replay-empty 1 "empty.rec: byte 0: not a recording of crier" -- replay empty.rec
	printf 'CRIERREC\1\0\0' >cut.rec
	refused replay-cut 1 "cut.rec: byte 11: cut within its header" -- replay cut.rec
	printf 'CRIERREC\7\0\0\0\4\3\2\1' >version.rec
	refused replay-version 1 "version.rec: byte 8: format version 7, this crier reads 2" -- replay version.rec
	refused record-no-file 2 "record: the FILE to write to is missing" -- record
	refused record-exists 2 "noise.rec: exists already; remove it or add --force" -- record noise.rec
}

# What a verb prints is what the repository has: the option table stands behind all three.
printed() {
	local name=$1 file=$2
	shift 2
	if ! "$crier" "$@" >out 2>err; then
		not_ok "$name" "exit $?"
	elif ! diff -q out "$root/$file" >/dev/null; then
		not_ok "$name" "$file is not what 'crier $*' prints; make it again"
	else
		ok "$name"
	fi
}

documents() {
	printed options-document docs/options.md help --markdown
	printed man-page docs/crier.8 help --man
	printed example-config deploy/crier.yaml config
	if "$crier" --help >out && grep -q '^Exit codes:' out && grep -q -- '--hold-age' out; then ok help; else not_ok help "incomplete"; fi
	if "$crier" --version | grep -q '^crier '; then ok version; else not_ok version "no version"; fi
	if "$crier" config --effective --hold-age 3s >effective.yaml && "$crier" config --check effective.yaml >/dev/null &&
		grep -q '"hold-age": "3s"' effective.yaml; then
		ok effective-config-is-a-config
	else
		not_ok effective-config-is-a-config "it is not taken back"
	fi
}

outputs() {
	timeout 20 "$crier" schema >/dev/full 2>err
	status=$? && : >out
	judge print-to-full-disk 1 "stdout: No space left on device"
	timeout 20 "$crier" schema >&- 2>err
	status=$?
	judge print-to-closed-stdout 1 "stdout: Bad file descriptor"
}

rights() {
	local user=(setpriv --reuid 65534 --regid 65534 --clear-groups --inh-caps -all)
	if ! "${user[@]}" "$crier" version >/dev/null 2>&1; then
		skip not-root "an unprivileged user cannot execute $crier"
		return
	fi
	chmod 777 "$folder"
	timeout 20 "${user[@]}" "$crier" run --ebpf required --state-file '' --cri-socket none >out 2>err
	status=$?
	judge run-not-root 2 "CAP_"
	timeout 20 "${user[@]}" "$crier" check --state-file '' --cri-socket none --output json >check.json 2>err
	status=$? && : >out
	judge check-not-root 1 # it would go on without eBPF
	if jq -e '.verdict == "degraded" and ([.findings[] | select(.area == "rights")][0].facts.missing | map(.name) | contains(["BPF"]))' \
		check.json >/dev/null; then
		ok check-names-rights
	else
		not_ok check-names-rights "$(head -c 300 check.json | tr '\n' ' ')"
	fi
}

needs_root() {
	refused no-btf 2 "/nonexistent" "BTF" -- run --btf /nonexistent --state-file '' --cri-socket none
	refused target-folder-missing 2 "/nonexistent/x: cannot write lines there" -- \
		run --output-target /nonexistent/x --state-file '' --cri-socket none
	: >file
	refused target-no-socket 2 "unix:file: is not a socket" -- run --output-target unix:file --state-file '' --cri-socket none
	refused unknown-hook 2 "oom=foo" -- run --hook oom=foo --state-file '' --cri-socket none
	timeout 20 "$crier" run --state-file '' --cri-socket none >&- 2>err
	status=$? && : >out
	judge run-closed-stdout 2 "stdout: it is closed"
	timeout 20 "$crier" run --state-file '' --cri-socket none --stats-interval 1s 2>err | head -c 10 >/dev/null
	status=${PIPESTATUS[0]} && : >out
	judge run-reader-left 1 "stdout: Broken pipe"
}

# sockets NAME SOCKET WORD... : check goes on without the runtime and says why; ps does too.
socket_told() {
	local name=$1 socket=$2 word
	shift 2
	timeout 20 "$crier" check --state-file '' --cri-socket "$socket" --cri-timeout 500ms --output json >check.json 2>err
	status=$?
	if [ "$status" -ne 1 ]; then
		not_ok "check-$name" "exit $status"
		return
	fi
	jq -r '.findings[] | select(.area == "runtime") | .status + ": " + .text + " " + .remedy' check.json >runtime
	for word in "degraded: " "$socket" "$@"; do
		if ! grep -qF -- "$word" runtime; then
			not_ok "check-$name" "'$word' is not in: $(head -c 300 runtime)"
			return
		fi
	done
	ok "check-$name"
}

# A unix socket that says WORDS to whoever connects, or nothing at all.
serve() {
	python3 -c '
import socket, sys
s = socket.socket(socket.AF_UNIX); s.bind(sys.argv[1]); s.listen(8); print("ready", flush=True)
kept = []
while True:
    c, _ = s.accept(); kept.append(c)
    try: c.sendall(sys.argv[2].encode())
    except OSError: pass' "$1" "$2" >"$1.ready" &
	pids+=($!)
	while [ ! -s "$1.ready" ]; do sleep 0.05; done
}

sockets() {
	: >plain
	socket_told socket-is-a-file "$folder/plain" "it is a regular file, not a unix socket"
	socket_told socket-missing "$folder/absent.sock" ""
	python3 -c 'import socket,sys; s=socket.socket(socket.AF_UNIX); s.bind(sys.argv[1])' "$folder/dead.sock"
	socket_told socket-refuses "$folder/dead.sock" "refuse"
	serve "$folder/hang.sock" ""
	socket_told socket-hangs "$folder/hang.sock" ""
	serve "$folder/garbage.sock" "220 smtp.example.com ESMTP ready"
	socket_told socket-garbage "$folder/garbage.sock" ""
	timeout 20 "$crier" ps --cri-socket "$folder/hang.sock" >out 2>err
	if [ $? -eq 1 ] && grep -q '^NAMESPACE' out && grep -q 'names are missing' err; then
		ok ps-socket-hangs
	else
		not_ok ps-socket-hangs "$(head -c 300 err)"
	fi
}

# start ARGUMENT... : crier in the background, up when agent.start is out. Sets pid.
start() {
	: >lines
	"$crier" run --cri-socket none "$@" >lines 2>err &
	pid=$!
	pids+=("$pid")
	for _ in $(seq 200); do
		grep -q '"agent.start".*}$' lines && return 0 # the whole line
		sleep 0.05
	done
	return 1
}

# told FILE TEXT : waits for it.
told() {
	for _ in $(seq 100); do
		grep -qF -- "$2" "$1" && return 0
		sleep 0.05
	done
	return 1
}

life() {
	echo '{"instance":' >state.json
	if ! start --state-file state.json; then
		not_ok damaged-state "no agent.start: $(head -c 300 err)"
		return
	fi
	if told err "state.json: the state file is damaged"; then ok damaged-state; else not_ok damaged-state "not told"; fi
	kill -TERM "$pid"
	wait "$pid"
	status=$?
	if [ "$status" -eq 0 ] && grep -q agent.stop lines && jq -e '.clean == true' state.json >/dev/null; then
		ok sigterm
	else
		not_ok sigterm "exit $status, state $(head -c 200 state.json)"
	fi
	if start --state-file state.json && grep -m 1 agent.start lines | jq -e .data.previous.clean >/dev/null; then
		ok gap-is-told
	else
		not_ok gap-is-told "$(head -c 300 lines)"
	fi
	kill -TERM "$pid"
	wait "$pid"
}

reload() {
	echo 'hold-age: 1s' >reload.yaml
	if ! start --state-file '' --config reload.yaml; then
		not_ok reload-bad-file "no agent.start: $(head -c 300 err)"
		return
	fi
	echo 'hold-age: soon' >reload.yaml
	kill -HUP "$pid"
	if told err "reload.yaml:1:11: hold-age: 'soon' is not a duration"; then ok reload-bad-file; else not_ok reload-bad-file "$(cat err)"; fi
	echo 'output: text' >reload.yaml
	kill -HUP "$pid"
	if told err "output: cannot change while crier runs"; then ok reload-needs-restart; else not_ok reload-needs-restart "$(cat err)"; fi
	kill -TERM "$pid"
	wait "$pid"
}

# A disk that is full: crier goes on, says so, and ends within its deadline.
full_disk() {
	local before
	"$crier" run --cri-socket none --state-file '' --stop-deadline 1s --output-target /dev/full >out 2>err &
	pid=$!
	pids+=("$pid")
	if ! told err "No space left on device"; then
		not_ok full-disk "not told: $(head -c 300 err)"
	else
		ok full-disk
	fi
	before=$SECONDS
	kill -TERM "$pid"
	wait "$pid"
	if [ $((SECONDS - before)) -le 4 ]; then ok full-disk-ends; else not_ok full-disk-ends "$((SECONDS - before)) s"; fi
}

if [ ! -x "$crier" ]; then
	echo "not ok cli: $crier is not built"
	exit 1
fi
usage
config_files
recordings
documents
outputs
if [ "$(id -u)" -eq 0 ]; then
	rights
	needs_root
	sockets
	life
	reload
	full_disk
else
	skip as-root "needs root"
fi
exit $failed
