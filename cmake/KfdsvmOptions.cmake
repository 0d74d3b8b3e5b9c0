# SPDX-License-Identifier: MIT
# Options and flags that all parts of the userspace share.

option(KFDSVM_WERROR "Treat warnings as errors" OFF)
option(KFDSVM_UNIT_ONLY "Of the tests, build only those that need no VM" OFF)
set(KFDSVM_SANITIZE "" CACHE STRING "Sanitizers, such as address,undefined")

if(NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
	set(CMAKE_BUILD_TYPE RelWithDebInfo CACHE STRING "Build type" FORCE)
endif()

set(CMAKE_C_STANDARD 11)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS ON)

add_compile_options(-Wall -Wextra)
if(KFDSVM_WERROR)
	add_compile_options(-Werror)
endif()
if(KFDSVM_SANITIZE)
	# An error that only prints a line would pass unseen.
	add_compile_options(-fsanitize=${KFDSVM_SANITIZE} -fno-sanitize-recover=all
		-fno-omit-frame-pointer)
	add_link_options(-fsanitize=${KFDSVM_SANITIZE})
endif()
