# SPDX-License-Identifier: MIT
# Tests of libkfdsvm that need no driver; included by CMakeLists.txt here.
include(CheckLanguage)
find_package(Threads REQUIRED)
find_library(CMOCKA_LIBRARY cmocka REQUIRED)
find_path(KFDSVM_DRM_INCLUDE drm.h PATH_SUFFIXES libdrm drm)

set(shim ${CMAKE_CURRENT_SOURCE_DIR}/../../userspace/libsvm)

foreach(name test_shim_open test_shim_range test_shim_promises test_shim_events test_shim_async
	test_shim_batch test_shim_where)
	add_executable(${name} ${name}.c shim_fake.c $<TARGET_OBJECTS:kfdsvm_test_objects>)
	target_include_directories(${name} PRIVATE ${shim}/include
		${CMAKE_CURRENT_SOURCE_DIR}/../../include/uapi)
	target_link_libraries(${name} PRIVATE ${CMOCKA_LIBRARY} Threads::Threads ${CMAKE_DL_LIBS})
	add_test(NAME ${name} COMMAND ${name})
endforeach()

# <linux/kfd_ioctl.h> wants <drm/drm.h>, which distributions keep as <libdrm/drm.h>.
if(KFDSVM_DRM_INCLUDE)
	set(shim_drm ${CMAKE_CURRENT_BINARY_DIR}/shim-drm)
	file(MAKE_DIRECTORY ${shim_drm})
	file(CREATE_LINK ${KFDSVM_DRM_INCLUDE} ${shim_drm}/drm SYMBOLIC)
	add_executable(test_shim_abi test_shim_abi.c)
	target_include_directories(test_shim_abi PRIVATE ${shim_drm})
	target_link_libraries(test_shim_abi PRIVATE ${CMOCKA_LIBRARY})
	add_test(NAME test_shim_abi COMMAND test_shim_abi)
endif()

add_executable(test_shim_header test_shim_header.c)
target_link_libraries(test_shim_header PRIVATE kfdsvm)
add_test(NAME test_shim_header COMMAND test_shim_header)

check_language(CXX)
if(CMAKE_CXX_COMPILER)
	enable_language(CXX)
	add_executable(test_shim_header_cxx test_shim_header.cc)
	target_link_libraries(test_shim_header_cxx PRIVATE kfdsvm)
	add_test(NAME test_shim_header_cxx COMMAND test_shim_header_cxx)
endif()

add_test(NAME test_shim_exports
	COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/test_shim_exports.sh $<TARGET_FILE:kfdsvm>
		${shim}/include/kfdsvm.h ${shim}/libkfdsvm.map)

# The same sources, built in other ways than the rest of the tree: by their own options only.
get_target_property(shim_sources kfdsvm_test_objects SOURCES)
function(add_shim_variant name)
	cmake_parse_arguments(arg "" "" "SOURCES;OPTIONS" ${ARGN})
	add_executable(${name} ${arg_SOURCES} shim_fake.c ${shim_sources})
	set_target_properties(${name} PROPERTIES
		COMPILE_OPTIONS "-Wall;-Wextra;-g;-O1;${arg_OPTIONS}" LINK_OPTIONS "${arg_OPTIONS}")
	target_include_directories(${name} PRIVATE ${shim}/include
		${CMAKE_CURRENT_SOURCE_DIR}/../../include/uapi)
	target_link_libraries(${name} PRIVATE ${CMOCKA_LIBRARY} Threads::Threads ${CMAKE_DL_LIBS})
endfunction()

include(CheckCSourceCompiles)
set(CMAKE_REQUIRED_FLAGS -fsanitize=thread)
check_c_source_compiles("int main(void) { return 0; }" KFDSVM_HAS_TSAN)
unset(CMAKE_REQUIRED_FLAGS)
if(KFDSVM_HAS_TSAN)
	add_shim_variant(test_shim_threads SOURCES test_shim_threads.c OPTIONS -fsanitize=thread)
	add_test(NAME test_shim_threads COMMAND test_shim_threads)
	set_tests_properties(test_shim_threads PROPERTIES
		ENVIRONMENT "TSAN_OPTIONS=halt_on_error=1")
endif()

# Allocations counted by a malloc of its own, not by a sanitizer's.
add_shim_variant(test_shim_promises_plain SOURCES test_shim_promises.c OPTIONS "")
add_test(NAME test_shim_promises_plain COMMAND test_shim_promises_plain)

find_program(VALGRIND valgrind)
if(VALGRIND)
	foreach(name range events async batch where)
		add_shim_variant(shim_valgrind_${name} SOURCES test_shim_${name}.c OPTIONS "")
		add_test(NAME shim_valgrind_${name}
			COMMAND ${VALGRIND} -q --error-exitcode=99 --leak-check=full
				--errors-for-leak-kinds=definite $<TARGET_FILE:shim_valgrind_${name}>)
	endforeach()
endif()

# libFuzzer is clang's, whatever compiles the rest. Debian 13 has this one with hipcc.
find_program(FUZZ_CLANG NAMES clang clang-17 HINTS /usr/lib/llvm-17/bin)
if(FUZZ_CLANG AND NOT DEFINED KFDSVM_HAS_FUZZER)
	set(fuzz_probe ${CMAKE_CURRENT_BINARY_DIR}/fuzz_probe)
	file(WRITE ${fuzz_probe}.c "int LLVMFuzzerTestOneInput(const char *p, long n);\n"
		"int LLVMFuzzerTestOneInput(const char *p, long n) { return p && n < 0; }\n")
	execute_process(COMMAND ${FUZZ_CLANG} -fsanitize=fuzzer,address,undefined
		${fuzz_probe}.c -o ${fuzz_probe} RESULT_VARIABLE fuzz_error OUTPUT_QUIET ERROR_QUIET)
	if(fuzz_error EQUAL 0)
		set(KFDSVM_HAS_FUZZER ON CACHE INTERNAL "clang has libFuzzer")
	endif()
endif()
if(KFDSVM_HAS_FUZZER)
	set(fuzz_flags -std=gnu11 -g -O1 -Wall -Wextra -fno-omit-frame-pointer
		-fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all
		-I${shim}/include -I${CMAKE_CURRENT_SOURCE_DIR}/../../include/uapi)
	file(GLOB fuzz_headers CONFIGURE_DEPENDS ${shim}/src/*.h)
	set(fuzz_objects)
	foreach(source ${shim_sources} ${CMAKE_CURRENT_SOURCE_DIR}/fuzz_shim.c)
		get_filename_component(object ${source} NAME_WE)
		set(object ${CMAKE_CURRENT_BINARY_DIR}/fuzz_${object}.o)
		add_custom_command(OUTPUT ${object}
			COMMAND ${FUZZ_CLANG} ${fuzz_flags} -c ${source} -o ${object}
			DEPENDS ${source} ${fuzz_headers} ${shim}/include/kfdsvm.h fuzz_shim.h)
		list(APPEND fuzz_objects ${object})
	endforeach()
	foreach(name files events options)
		set(fuzz ${CMAKE_CURRENT_BINARY_DIR}/fuzz_shim_${name})
		add_custom_command(OUTPUT ${fuzz}
			COMMAND ${FUZZ_CLANG} ${fuzz_flags} -fsanitize=fuzzer
				${CMAKE_CURRENT_SOURCE_DIR}/fuzz_shim_${name}.c ${fuzz_objects}
				-o ${fuzz} -lpthread -ldl
			DEPENDS fuzz_shim_${name}.c ${fuzz_objects} ${fuzz_headers})
		add_custom_target(fuzz_shim_${name}_program ALL DEPENDS ${fuzz})
		add_test(NAME fuzz_shim_${name} COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/fuzz.sh ${fuzz}
			${CMAKE_CURRENT_SOURCE_DIR}/fuzz_corpus/${name})
	endforeach()
endif()

find_program(MANDOC mandoc)
if(MANDOC)
	add_test(NAME test_shim_man COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/test_shim_man.sh
		${shim}/man ${shim}/libkfdsvm.map)
endif()
