#!/bin/sh
# SPDX-License-Identifier: MIT
# test_cli_man.sh MAN_DIR KFDSVM: mandoc finds nothing to complain about in the commands'
# pages, each tells its exit status, and each option that --help names.
set -eu
bad=0
for command in '' info doctor top trace report; do
	page=$1/kfdsvm${command:+-$command}.1
	mandoc -T lint -W warning "$page" || bad=1
	grep -q '^\.Sh EXIT STATUS' "$page" || {
		echo "$page: no section EXIT STATUS"
		bad=1
	}
	# Of `kfdsvm` itself they stand in the synopsis.
	for option in $("$2" $command --help | grep -o -- '--[a-z][a-z-]*' | sort -u); do
		grep -q -e "Fl -${option#--}" -e "| -${option#--}" "$page" || {
			echo "$page: no $option"
			bad=1
		}
	done
done
exit $bad
