# SPDX-License-Identifier: GPL-2.0-only
# The pure part of kfdsvm-matrix.
set(MATRIX ${CMAKE_CURRENT_LIST_DIR}/../matrix)
add_unit_test(test_matrix test_matrix.c ${MATRIX}/cells.c ${MATRIX}/choose.c
	${MATRIX}/expect.c)
target_include_directories(test_matrix PRIVATE ${MATRIX})
