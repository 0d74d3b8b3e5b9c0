# SPDX-License-Identifier: MIT
# Tests of libkfdsvm-preload.so that need no driver, and what it costs; included by
# CMakeLists.txt here.
set(preload ${CMAKE_CURRENT_SOURCE_DIR}/../../userspace/libsvm/preload)
set(preload_tests ${CMAKE_CURRENT_SOURCE_DIR}/../preload)
find_package(Threads REQUIRED)
find_path(PRELOAD_DRM_INCLUDE drm.h PATH_SUFFIXES libdrm drm)

add_executable(test_preload_own test_preload_own.c ${preload}/own.c)
target_compile_definitions(test_preload_own PRIVATE _GNU_SOURCE)
target_include_directories(test_preload_own PRIVATE ${CMOCKA_INCLUDE_DIR})
target_link_libraries(test_preload_own PRIVATE ${CMOCKA_LIBRARY})
add_test(NAME test_preload_own COMMAND test_preload_own)

if(PRELOAD_DRM_INCLUDE)
	set(preload_drm ${CMAKE_CURRENT_BINARY_DIR}/preload-drm)
	file(MAKE_DIRECTORY ${preload_drm})
	file(CREATE_LINK ${PRELOAD_DRM_INCLUDE} ${preload_drm}/drm SYMBOLIC)
	add_executable(test_preload_abi test_preload_abi.c)
	target_include_directories(test_preload_abi PRIVATE ${preload_drm} ${CMOCKA_INCLUDE_DIR})
	target_link_libraries(test_preload_abi PRIVATE ${CMOCKA_LIBRARY})
	add_test(NAME test_preload_abi COMMAND test_preload_abi)
endif()

# Under a sanitizer malloc is not glibc's, and the programs would need its runtime first.
add_executable(preload_plain_fake ${preload_tests}/plain.c ${preload_tests}/plain_before.c
	${preload_tests}/plain_heap.c ${preload_tests}/plain_map.c
	${preload_tests}/plain_process.c ${preload_tests}/fake/gpu.c
	${preload_tests}/fake/userptr.c)
target_compile_definitions(preload_plain_fake PRIVATE _GNU_SOURCE PLAIN_FAKE_NODE=1)
target_include_directories(preload_plain_fake PRIVATE ${preload_tests}/fake)
target_link_libraries(preload_plain_fake PRIVATE Threads::Threads ${CMAKE_DL_LIBS})

add_library(preload_fake_kfd MODULE ${preload_tests}/fake/kfd.c)
target_compile_definitions(preload_fake_kfd PRIVATE _GNU_SOURCE)
target_include_directories(preload_fake_kfd PRIVATE
	${CMAKE_CURRENT_SOURCE_DIR}/../../include/uapi)
target_link_libraries(preload_fake_kfd PRIVATE ${CMAKE_DL_LIBS})

add_executable(preload_churn_unit ${preload_tests}/churn.c)
target_link_libraries(preload_churn_unit PRIVATE Threads::Threads)

foreach(target preload_plain_fake preload_fake_kfd preload_churn_unit)
	target_compile_options(${target} PRIVATE -fno-sanitize=all)
	target_link_options(${target} PRIVATE -fno-sanitize=all)
endforeach()

if(TARGET kfdsvm_preload)
	add_test(NAME test_preload_plain COMMAND bash
		${CMAKE_CURRENT_SOURCE_DIR}/test_preload_plain.sh
		$<TARGET_FILE:preload_plain_fake> $<TARGET_FILE:kfdsvm_preload>
		$<TARGET_FILE:preload_fake_kfd>)
	add_test(NAME preload_bench COMMAND bash
		${CMAKE_CURRENT_SOURCE_DIR}/../bench/preload.sh --check
		$<TARGET_FILE:preload_churn_unit> $<TARGET_FILE:kfdsvm_preload>)
	set_tests_properties(preload_bench PROPERTIES SKIP_RETURN_CODE 77)
endif()
