#!/bin/sh
# SPDX-License-Identifier: MIT
# test_shim_man.sh MAN_DIR MAP: mandoc finds nothing to complain about in the library's
# pages, and every exported call has one that names it.
set -eu
bad=0
for page in "$1"/kfdsvm*.3 "$1"/kfdsvm.7; do
	if grep -q '^\.so ' "$page"; then
		target=$1/$(sed -n 's,^\.so man3/,,p' "$page")
		name=$(basename "$page" .3)
		grep -q "^\.Nm $name\( ,\)*\$" "$target" || {
			echo "$page: $target does not name it"
			bad=1
		}
		continue
	fi
	mandoc -T lint -W warning "$page" || bad=1
	for section in 'RETURN VALUES' ERRORS LIFETIME; do
		case $page in
		*.3) grep -q "^\.Sh $section" "$page" || {
			echo "$page: no section $section"
			bad=1
		} ;;
		esac
	done
done
for call in $(sed -n '/global:/,/local:/s/^[ \t]*\(kfdsvm_[a-z_]*\);/\1/p' "$2"); do
	[ -e "$1/$call.3" ] || {
		echo "$call has no page"
		bad=1
	}
done
exit $bad
