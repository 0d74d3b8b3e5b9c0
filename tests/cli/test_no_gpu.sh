#!/bin/bash
# SPDX-License-Identifier: MIT
# Runs in the VM without modules: what the command kfdsvm says where nothing is there.
# Output is TAP.

set -u
# shellcheck source=/dev/null
. "$(dirname "$0")/../common/tap.sh"
out=$(kfdsvm doctor --json)
(($? == 1)) && python3 -c '
import json, sys
d = json.loads(sys.argv[1])
fails = {x["id"]: x["fix"] for x in d["findings"] if x["verdict"] == "fail"}
print("#", sorted(fails))
wanted = {"pci-none", "module-not-loaded", "no-kfd"}
sys.exit(not (not d["svm"] and set(fails) == wanted and all(fails.values())))' "$out"
report $? "doctor: no GPU, no module, no /dev/kfd, each with a fix"
out=$(kfdsvm info --json)
(($? == 1)) && python3 -c '
import json, sys
d = json.loads(sys.argv[1])
sys.exit(not (not d["svm"] and d["gpus"] == [] and d["why"]["reason"] == 1 and
	      d["kfd"] is None and d["xnack"] is None))' "$out"
report $? "info --json"
kfdsvm top -b -n 1 2>/dev/null
report $(($? != 1)) "top: no driver"
kfdsvm trace -o /tmp/no-trace -- touch /tmp/was-run 2>/dev/null
(($? == 125)) && [[ ! -e /tmp/was-run ]]
report $? "trace: the program is not run"
tap_end
