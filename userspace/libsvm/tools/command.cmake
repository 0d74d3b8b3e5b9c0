# SPDX-License-Identifier: MIT
# The command kfdsvm; included by ../CMakeLists.txt. The library needs none of it.
option(KFDSVM_COMMAND "Build the command kfdsvm, which needs json-c" ON)
if(NOT KFDSVM_COMMAND)
	return()
endif()

find_package(PkgConfig REQUIRED)
pkg_check_modules(JSONC REQUIRED IMPORTED_TARGET GLOBAL json-c>=0.15)

set(KFDSVM_COMMAND_DIR ${CMAKE_CURRENT_LIST_DIR})
# All but main(), which unit tests bring themselves.
set(KFDSVM_COMMAND_SOURCES
	command.c
	doctor.c
	doctor_checks.c
	doctor_machine.c
	doctor_program.c
	info.c
	info_json.c
	output.c
	privilege.c
	report.c
	report_read.c
	report_sums.c
	top.c
	top_rows.c
	top_sample.c
	top_screen.c
	top_thrash.c
	trace.c
	trace_child.c
	trace_pairs.c
	trace_sources.c
	trace_write.c
	words.c
)
# Unit tests link these, and the library in a form that has its seams.
set(KFDSVM_COMMAND_TESTED ${KFDSVM_COMMAND_SOURCES})
list(TRANSFORM KFDSVM_COMMAND_TESTED PREPEND ${KFDSVM_COMMAND_DIR}/)
add_library(kfdsvm_command_objects OBJECT EXCLUDE_FROM_ALL ${KFDSVM_COMMAND_TESTED})
set_target_properties(kfdsvm_command_objects PROPERTIES C_STANDARD 11)
target_include_directories(kfdsvm_command_objects
	PUBLIC ${KFDSVM_COMMAND_DIR}/../include
	PRIVATE ${KFDSVM_COMMAND_DIR}/../../../include/uapi)
target_link_libraries(kfdsvm_command_objects PUBLIC PkgConfig::JSONC)

# `run` comes with its own files.
file(GLOB KFDSVM_RUN_SOURCES CONFIGURE_DEPENDS RELATIVE ${KFDSVM_COMMAND_DIR}
	${KFDSVM_COMMAND_DIR}/run*.c)
list(APPEND KFDSVM_COMMAND_SOURCES ${KFDSVM_RUN_SOURCES})
list(TRANSFORM KFDSVM_COMMAND_SOURCES PREPEND ${KFDSVM_COMMAND_DIR}/)

add_executable(kfdsvm_command ${KFDSVM_COMMAND_DIR}/kfdsvm.c ${KFDSVM_COMMAND_SOURCES})
set_target_properties(kfdsvm_command PROPERTIES OUTPUT_NAME kfdsvm C_STANDARD 11)
target_compile_options(kfdsvm_command PRIVATE -Wall -Wextra -Wshadow -Wstrict-prototypes)
if(KFDSVM_RUN_SOURCES)
	target_compile_definitions(kfdsvm_command PRIVATE KFDSVM_HAVE_RUN)
endif()
# The kernel's interface, from this repository.
target_include_directories(kfdsvm_command PRIVATE
	${KFDSVM_COMMAND_DIR}/../../../include/uapi)
target_link_libraries(kfdsvm_command PRIVATE kfdsvm PkgConfig::JSONC Threads::Threads)
install(TARGETS kfdsvm_command RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
