#!/bin/bash
# SPDX-License-Identifier: MIT
# Runs in the VM, as root: the command kfdsvm on a GPU that works, and on one that the
# script takes away in a mount namespace. Output is TAP.

set -u
# shellcheck source=/dev/null
. "$(dirname "$0")/../common/tap.sh"
here=$(dirname "$0")
known=/usr/local/libexec/kfdsvm/cli_known
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
chmod 755 "$tmp"
# code WANTED COMMAND...: does it exit so? Its output goes to $tmp/out and $tmp/err.
code()
{
	local wanted=$1 got
	shift
	"$@" >"$tmp/out" 2>"$tmp/err"
	got=$?
	((got == wanted)) || {
		echo "# $* exits with $got, not $wanted"
		sed 's/^/# /' "$tmp/err"
		return 1
	}
}

# One Python for all conditions: it takes long to start where the VM is emulated.
coproc judge { exec python3 -u -c '
import json, sys
while condition := sys.stdin.readline():
    file = sys.stdin.readline().rstrip("\n")
    try:
        d = json.load(open(file))
        f = lambda verdict: [x["id"] for x in d["findings"] if x["verdict"] == verdict]
        print(int(bool(eval(condition))))
    except Exception as e:
        print(repr(e).replace("\n", " "))'; }

# json CONDITION [FILE]: in Python, on d, the JSON of the file; f: findings of a verdict.
json()
{
	local file=${2:-$tmp/out} answer
	printf '%s\n%s\n' "$1" "$file" >&"${judge[1]}"
	read -r answer <&"${judge[0]}"
	[[ $answer == 1 ]] || {
		echo "# not so: $1: $answer"
		head -c 2000 "$file" | sed 's/^/# /'
		return 1
	}
}

to_pipe()
{
	"$@" >&8
}

gpu=$(cat /sys/devices/virtual/kfd/kfd/topology/nodes/*/gpu_id | grep -vx 0 | head -n 1)
as_nobody="setpriv --reuid nobody --regid nogroup --clear-groups"
"$known" moves 1 >/dev/null
[[ $? == 77 ]] && moves=0 || moves=1
xnack=1
kfdsvm info | grep -q 'XNACK: off, and cannot' && xnack=0

# --- info and doctor

code 0 kfdsvm info --json &&
	json "d['svm'] and d['gpus'][0]['gpu_id'] == $gpu and d['gpus'][0]['usable'] \
and d['limits']['page_bytes'] == $(getconf PAGESIZE) and d['limits']['window_bytes'] > 0 \
and d['xnack']['possible'] == bool($xnack) and d['why'] is None"
report $? "info --json tells what is there"
code 0 kfdsvm doctor --json &&
	json "d['svm'] and not f('fail') and 'gpu' in f('ok') and 'kfd' in f('ok')"
report $? "doctor finds no cause where SVM works"
code 0 kfdsvm doctor && ! grep -q $'\033' "$tmp/out" && grep -q '^SVM works$' "$tmp/out"
report $? "no colours in a pipe"

code 1 $as_nobody kfdsvm doctor --json && json "not d['svm'] and f('fail') == ['kfd-permission'] \
and 'usermod -aG render' in [x for x in d['findings'] if x['verdict'] == 'fail'][0]['fix']"
report $? "doctor tells the group"
in_namespace()
{
	unshare --mount --propagation private sh -c "$1"
}
code 1 in_namespace 'mount -t tmpfs none /dev && kfdsvm doctor --json' &&
	json "f('fail') == ['kfd-hidden']"
report $? "doctor tells of a container without /dev/kfd"
code 1 in_namespace 'mount -t tmpfs none /dev/dri && kfdsvm doctor --json' &&
	json "f('fail') == ['render-missing']"
report $? "doctor tells of a container without render nodes"
code 1 in_namespace 'mount -t tmpfs none /sys/devices/virtual/kfd/kfd/topology/nodes &&
	kfdsvm doctor --json' && json "f('fail') == ['no-topology']"
report $? "doctor tells of a masked topology"
render=/dev/dri/renderD$(awk '$1 == "drm_render_minor" && $2 { print $2; exit }' \
	/sys/devices/virtual/kfd/kfd/topology/nodes/*/properties)
mode=$(stat -c %a "$render")
chmod 0600 "$render"
code 1 setpriv --reuid kfduser --regid kfduser --init-groups kfdsvm doctor --json &&
	json "f('fail') == ['render-permission']"
report $? "doctor tells of a render node that is closed"
chmod "$mode" "$render"
printf '\1hipv4-amdgcn-amd-amdhsa--gfx1030\2' >"$tmp/program"
code 0 kfdsvm doctor --json "$tmp/program" && json "f('fail') == ['program-target']"
report $? "doctor tells of a program built for another GPU"

# --- top

mkfifo "$tmp/hold"
"$known" name 'a"\job' $( ((moves)) && echo moves 3) $( ((xnack)) && echo faults 2) hold \
	<"$tmp/hold" >"$tmp/held" &
job=$!
exec 9>"$tmp/hold"
until grep -q '^ready' "$tmp/held" || ! kill -0 "$job"; do
	sleep 0.05
done
read -r _ pid id faults page_in page_out < <(grep '^ready' "$tmp/held")
code 0 kfdsvm top --json -n 1 -d 0.1 &&
	json "[p for p in d['processes'] if p['pid'] == $pid][0]['gpus'] == [{'gpu_id': $id, \
'faults': $faults, 'page_in': $page_in, 'page_out': $page_out, 'vram_bytes': \
$(cat "/sys/class/kfd/kfd/proc/$pid/vram_$id")}]"
report $? "top has the counters of sysfs ($faults faults, $page_in in, $page_out out)"
json "[p for p in d['processes'] if p['pid'] == $pid][0]['evictions'] is not None"
report $? "top hears events as root"
code 0 kfdsvm top --batch -n 2 -d 0.1 && (($(grep -c '^ *PID' "$tmp/out") == 2)) &&
	(($(grep -c "^ *$pid .*a\"" "$tmp/out") == 2)) && ! grep -q $'\033' "$tmp/out"
report $? "top --batch prints samples"
code 0 $as_nobody kfdsvm top --json -n 1 -d 0.1 && json "not d['processes']" &&
	code 0 $as_nobody kfdsvm top --all --json -n 1 -d 0.1 &&
	json "[p for p in d['processes'] if p['pid'] == $pid][0]['evictions'] is None"
report $? "top without privilege: one's own processes, or all without events"
python3 "$here/terminal.py" "$pid" >"$tmp/out" 2>&1
report $? "top in a terminal: other screen, resize, q; colours, NO_COLOR"
sed 's/^/# /' "$tmp/out"
exec 9>&-
wait "$job"
report $? "the job that top looked at ends well"

# --- trace and report

# known CONDITION STEP NUMBER COUNT...: the trace of a step has so many events of each
# category, and its report is so. Steps are small: the driver's queues hold all events of
# one, so that none is lost even if nobody reads in time.
known()
{
	local condition=$1 step=$2 n=$3
	shift 3
	code 0 kfdsvm trace -o "$tmp/trace" -- "$known" "$step" "$n" &&
		code 0 python3 "$here/check_trace.py" "$tmp/trace" program=1 lost=0 "$@"
	report $? "trace of $n $step is a trace, with exactly these events"
	sed 's/^/# /' "$tmp/out"
	code 0 kfdsvm report --json "$tmp/trace" && json "d['complete'] and $condition"
	report $? "report of $n $step has the same totals"
}

if ((moves)); then
	known "d['migration_causes'] == {'prefetch': 4} and d['faults'] == 0 \
and d['bytes_in'] == d['bytes_out'] == 2 * 8 * $(getconf PAGESIZE) \
and d['queue_stops'] == 0 and len(d['windows']) == 2" \
		moves 2 migration.to=2 migration.from=2 fault=0 queue=0
fi
if ((xnack)); then
	known "d['faults'] == d['write_faults'] == 2 and d['failed_accesses'] == 0" \
		faults 2 fault=2 fault.half=0 queue=0
fi
known "d['queue_stops'] == 2 and d['queue_stop_causes'] == {'shared memory changed': 2}" \
	stops 2 queue.stop=2 queue.half=0 fault=0
code 0 kfdsvm report "$tmp/trace" && grep -q '^totals$' "$tmp/out"
report $? "report in words"
kfdsvm report - <"$tmp/trace" | cmp -s - "$tmp/out"
report $? "report of standard input"
install -d -o kfduser "$tmp/user"
code 0 setpriv --reuid kfduser --regid kfduser --init-groups \
	kfdsvm trace -o "$tmp/user/trace" -- "$known" stops 2 &&
	code 0 python3 "$here/check_trace.py" "$tmp/user/trace" queue.stop=2 program=1
report $? "trace of one's own program without privilege"
code 0 kfdsvm trace -o "$tmp/child" sh -c "$known fork stops 2; true" &&
	code 0 python3 "$here/check_trace.py" "$tmp/child" queue.stop=2 program=1
report $? "trace follows children"
head -c "$(($(stat -c %s "$tmp/trace") / 2))" "$tmp/trace" >"$tmp/half"
code 0 kfdsvm report --json "$tmp/half" && json "d['cut'] and not d['complete']"
report $? "report of a file that was cut"
echo "no trace" >"$tmp/bad"
code 3 kfdsvm report "$tmp/bad"
report $? "report of something else fails"
code 0 kfdsvm trace -l 1 -o "$tmp/few" -- "$known" stops 2 &&
	code 0 kfdsvm report --json "$tmp/few" && json "d['dropped'] > 0 and not d['complete']"
report $? "events beyond the limit are counted"

# --- exit codes and signals

code 7 kfdsvm trace -o "$tmp/t" -- "$known" exit 7
report $? "trace: exit code of the program"
bash -c 'kfdsvm trace -o "$1" -- "$2" kill 10; exit $?' sh "$tmp/t" "$known" 2>/dev/null
(($? == 128 + 10)) && python3 "$here/check_trace.py" "$tmp/t" program=1
report $? "trace: signal of the program"
code 7 timeout 60 env --ignore-signal=CHLD kfdsvm trace -o "$tmp/t" -- "$known" exit 7
report $? "trace: exit code of the program where SIGCHLD was ignored"
code 127 kfdsvm trace -o "$tmp/t" -- /nonexistent/program
report $? "trace: program that is not there"
code 126 kfdsvm trace -o "$tmp/t" -- "$tmp/trace"
report $? "trace: program that cannot be run"
code 125 kfdsvm trace -o /nonexistent/file -- "$known" exit 7
report $? "trace: file that cannot be written"
code 125 $as_nobody kfdsvm trace -o /dev/null -- "$known" exit 7 && grep -q doctor "$tmp/err"
report $? "trace: no driver for this user"
mkfifo "$tmp/go"
kfdsvm trace -o "$tmp/t" -- sh -c "trap 'exit 9' TERM; echo > '$tmp/go'; while :; do sleep 0.1; done" &
traced=$!
read -r _ <"$tmp/go"
kill "$traced"
wait "$traced"
(($? == 9))
report $? "trace: a signal is passed on"

# A pipe whose reader has ended before the command begins.
exec 8> >(:)
wait $!
code 128+13 to_pipe env --default-signal=PIPE kfdsvm info &&
	code 3 to_pipe env --ignore-signal=PIPE kfdsvm info && [[ ! -s $tmp/err ]]
report $? "output that is closed early"
exec 8>&-
tap_end
