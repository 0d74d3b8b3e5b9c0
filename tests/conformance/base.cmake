# SPDX-License-Identifier: GPL-2.0-only
# What cases work with: a GPU, processes, memory in VRAM. Included once by whoever needs
# it first; who links it provides conf_skip().
if(NOT TARGET kfdsvm-conformance-base)
	include(${CMAKE_CURRENT_LIST_DIR}/../common/CMakeLists.txt)
	find_package(PkgConfig REQUIRED)
	pkg_check_modules(CMOCKA REQUIRED IMPORTED_TARGET GLOBAL cmocka)
	find_package(Threads REQUIRED)

	add_library(kfdsvm-conformance-base STATIC
		${CMAKE_CURRENT_LIST_DIR}/fixture.c
		${CMAKE_CURRENT_LIST_DIR}/proc.c
		${CMAKE_CURRENT_LIST_DIR}/vramlib.c
		${CMAKE_CURRENT_LIST_DIR}/vramprobe.c)
	target_include_directories(kfdsvm-conformance-base PUBLIC ${CMAKE_CURRENT_LIST_DIR})
	target_link_libraries(kfdsvm-conformance-base PUBLIC
		kfdsvm-test-common PkgConfig::CMOCKA Threads::Threads)
	target_compile_definitions(kfdsvm-conformance-base PRIVATE _GNU_SOURCE)
	target_compile_options(kfdsvm-conformance-base PRIVATE -Wall -Wextra)
endif()
