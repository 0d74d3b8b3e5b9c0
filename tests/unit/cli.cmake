# SPDX-License-Identifier: MIT
# Tests of the command kfdsvm that need no driver; included by CMakeLists.txt here.
if(TARGET kfdsvm_command_objects)
	set(cli ${CMAKE_CURRENT_SOURCE_DIR}/../../userspace/libsvm)
	foreach(name doctor report top trace)
		add_executable(test_cli_${name} test_cli_${name}.c cli_tree.c shim_fake.c
			$<TARGET_OBJECTS:kfdsvm_command_objects>
			$<TARGET_OBJECTS:kfdsvm_test_objects>)
		target_include_directories(test_cli_${name} PRIVATE ${cli}/include ${cli}/tools
			${CMAKE_CURRENT_SOURCE_DIR}/../../include/uapi)
		target_link_libraries(test_cli_${name} PRIVATE ${CMOCKA_LIBRARY} PkgConfig::JSONC
			Threads::Threads ${CMAKE_DL_LIBS})
		add_test(NAME test_cli_${name} COMMAND test_cli_${name})
	endforeach()
	add_test(NAME test_cli_completion
		COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/../cli/completion.sh
			${cli}/completion/kfdsvm $<TARGET_FILE:kfdsvm_command>)
	add_test(NAME test_cli_options
		COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/test_cli_options.sh
			$<TARGET_FILE:kfdsvm_command>)
	find_program(MANDOC mandoc)
	if(MANDOC)
		add_test(NAME test_cli_man COMMAND
			${CMAKE_CURRENT_SOURCE_DIR}/test_cli_man.sh ${cli}/man
			$<TARGET_FILE:kfdsvm_command>)
	endif()
endif()
