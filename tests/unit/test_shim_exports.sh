#!/bin/sh
# SPDX-License-Identifier: MIT
# test_shim_exports.sh LIBRARY HEADER MAP: what the library exports, what the header
# declares and what the map lists are the same, all of version KFDSVM_0.
set -eu
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

nm -D --defined-only "$1" | awk '$2 == "T" { print $3 }' | sort >"$tmp/exported"
grep -o 'kfdsvm_[a-z_]*(' "$2" | tr -d '(' | sort -u >"$tmp/mentioned"
awk '/^KFDSVM_API/ { s = $0; while (s !~ /\(/) { getline l; s = s l } print s }' "$2" |
	sed 's/(.*//; s/.*[ *]//; s/$/@@KFDSVM_0/' | sort >"$tmp/declared"
sed -n '/global:/,/local:/s/^[ \t]*\(kfdsvm_[a-z_]*\);/\1@@KFDSVM_0/p' "$3" | sort >"$tmp/mapped"
diff -u "$tmp/mapped" "$tmp/exported"
diff -u "$tmp/mapped" "$tmp/declared"
test -s "$tmp/mapped"
