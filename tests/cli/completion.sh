#!/bin/bash
# SPDX-License-Identifier: MIT
# bash completion of kfdsvm: every option that a command's --help names is offered, and
# words are completed where they stand. completion.sh FILE [KFDSVM]; output is TAP.

set -u
# shellcheck source=/dev/null
. "$(dirname "$0")/../common/tap.sh"
# shellcheck source=/dev/null
. "$1"
# completes WORD...: what the last word may become.
completes()
{
	COMP_WORDS=("$@")
	COMP_CWORD=$(($# - 1))
	_kfdsvm
	printf '%s\n' "${COMPREPLY[@]}"
}

completes kfdsvm "" | grep -qx doctor
report $? "commands are offered"
[[ $(completes kfdsvm tr) == trace ]]
report $? "a command is completed"
[[ $(completes kfdsvm top --ba) == --batch ]]
report $? "an option is completed"
[[ -z $(completes kfdsvm top --delay "") ]]
report $? "nothing is offered for a number"
dir=$(mktemp -d)
touch "$dir/some.json"
[[ $(completes kfdsvm report "$dir/so") == "$dir/some.json" ]]
report $? "a file is completed for report"
[[ $(completes kfdsvm trace -o "$dir/so") == "$dir/some.json" ]]
report $? "a file is completed for trace -o"
rm -r "$dir"
if (($# > 1)); then
	for command in info doctor top trace report; do
		missing=
		for option in $("$2" "$command" --help | grep -o -- '--[a-z][a-z-]*' | sort -u); do
			completes kfdsvm "$command" "$option" | grep -qx -- "$option" ||
				missing+=" $option"
		done
		[[ -z $missing ]]
		report $? "$command: options of --help are completed${missing:+, but$missing}"
	done
fi
tap_end
