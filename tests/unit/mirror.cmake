# SPDX-License-Identifier: GPL-2.0-only
# The mirror's pure parts.
add_unit_test(test_leaves test_leaves.c ${KFDSVM_TOP}/mm/sink.c)
target_include_directories(test_leaves PRIVATE ${KFDSVM_TOP}/mm)
add_unit_test(test_runs test_runs.c ${KFDSVM_TOP}/mm/runs.c)
target_include_directories(test_runs PRIVATE ${KFDSVM_TOP}/mm)
