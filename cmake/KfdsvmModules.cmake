# SPDX-License-Identifier: MIT
# Target `modules`: the kernel part, by Kbuild, from a copy in the build folder.

if(NOT DEFINED KDIR)
	execute_process(COMMAND uname -r OUTPUT_VARIABLE kfdsvm_release
		OUTPUT_STRIP_TRAILING_WHITESPACE)
	set(KDIR /lib/modules/${kfdsvm_release}/build CACHE PATH
		"Kernel headers or built tree for the target modules")
endif()

set(kfdsvm_copy copy_directory)
if(NOT CMAKE_VERSION VERSION_LESS 3.26)
	# Keeps the times of what did not change: only that is compiled again.
	set(kfdsvm_copy copy_directory_if_different)
endif()

set(kfdsvm_tree ${CMAKE_BINARY_DIR}/modules)
set(kfdsvm_copies
	COMMAND ${CMAKE_COMMAND} -E make_directory ${kfdsvm_tree}
	COMMAND ${CMAKE_COMMAND} -E copy_if_different ${CMAKE_SOURCE_DIR}/Kbuild ${kfdsvm_tree}/Kbuild)
foreach(dir include mm drivers)
	if(EXISTS ${CMAKE_SOURCE_DIR}/${dir})
		list(APPEND kfdsvm_copies COMMAND ${CMAKE_COMMAND} -E ${kfdsvm_copy}
			${CMAKE_SOURCE_DIR}/${dir} ${kfdsvm_tree}/${dir})
	endif()
endforeach()

add_custom_target(modules
	${kfdsvm_copies}
	COMMAND make -C ${KDIR} M=${kfdsvm_tree} modules
	VERBATIM
	COMMENT "Kernel modules against ${KDIR}")
