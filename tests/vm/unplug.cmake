# SPDX-License-Identifier: GPL-2.0-only
# GPUs that go and come back; included by CMakeLists.txt here.
include(${CMAKE_CURRENT_LIST_DIR}/../common/CMakeLists.txt)
find_package(Threads REQUIRED)

foreach(program unplug unplug_load page_tables)
	set(sources ${program}.c)
	if(program MATCHES unplug)
		list(APPEND sources unplug_gpu.c)
	endif()
	add_executable(${program} ${sources} ${CMAKE_CURRENT_LIST_DIR}/../common/cases.c)
	target_compile_definitions(${program} PRIVATE _GNU_SOURCE)
	target_link_libraries(${program} PRIVATE kfdsvm-test-common Threads::Threads)
	install(TARGETS ${program} RUNTIME DESTINATION ${CMAKE_INSTALL_LIBEXECDIR}/kfdsvm)
endforeach()
