# SPDX-License-Identifier: GPL-2.0-only
# The table of defects, the conformance cases and the mutants agree.
add_test(NAME check_defects COMMAND python3 ${CMAKE_CURRENT_LIST_DIR}/../../tools/check-defects)
