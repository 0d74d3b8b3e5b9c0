# SPDX-License-Identifier: MIT
# libkfdsvm beside the runtimes, and an unmodified libhsa-runtime64; included by
# CMakeLists.txt here. Built where the runtimes' headers are.
include(GNUInstallDirs)

find_path(HSAKMT_INCLUDE hsakmt.h PATH_SUFFIXES hsakmt HINTS /opt/rocm/include)
find_library(HSAKMT_LIBRARY hsakmt HINTS /opt/rocm/lib)
find_path(HSA_INCLUDE hsa/hsa.h HINTS /opt/rocm/include)
find_library(HSA_LIBRARY hsa-runtime64 HINTS /opt/rocm/lib)
set(shim_tests ${CMAKE_INSTALL_FULL_LIBEXECDIR}/kfdsvm)

if(HSA_INCLUDE AND HSA_LIBRARY)
	add_executable(hsa_copy hsa_copy.c hsa_gpu.c)
	target_include_directories(hsa_copy SYSTEM PRIVATE ${HSA_INCLUDE})
	target_link_libraries(hsa_copy PRIVATE ${HSA_LIBRARY})
	install(TARGETS hsa_copy RUNTIME DESTINATION ${shim_tests})
endif()

if(HSA_INCLUDE AND HSA_LIBRARY AND HSAKMT_INCLUDE AND HSAKMT_LIBRARY)
	set(examples ${CMAKE_CURRENT_SOURCE_DIR}/../../userspace/libsvm/examples)
	add_library(shim_runtime_thunk MODULE shim_runtime_thunk.c ${examples}/gpu.c)
	target_include_directories(shim_runtime_thunk PRIVATE ${examples})
	target_include_directories(shim_runtime_thunk SYSTEM PRIVATE ${HSAKMT_INCLUDE})
	target_link_libraries(shim_runtime_thunk PRIVATE ${HSAKMT_LIBRARY})

	add_library(shim_runtime_hsa MODULE shim_runtime_hsa.c hsa_gpu.c)
	target_include_directories(shim_runtime_hsa SYSTEM PRIVATE ${HSA_INCLUDE})
	target_link_libraries(shim_runtime_hsa PRIVATE ${HSA_LIBRARY})

	# Linked to libkfdsvm only: the case decides when a runtime is loaded.
	add_executable(shim_beside_thunk shim_beside_thunk.c)
	target_link_libraries(shim_beside_thunk PRIVATE kfdsvm ${CMAKE_DL_LIBS})
	foreach(module shim_runtime_thunk shim_runtime_hsa)
		set_target_properties(${module} PROPERTIES PREFIX "" C_VISIBILITY_PRESET hidden)
	endforeach()

	add_executable(shim_features shim_features.c ${examples}/gpu.c)
	target_include_directories(shim_features PRIVATE ${examples})
	target_include_directories(shim_features SYSTEM PRIVATE ${HSAKMT_INCLUDE})
	target_link_libraries(shim_features PRIVATE kfdsvm ${HSAKMT_LIBRARY})
	install(TARGETS shim_features RUNTIME DESTINATION ${shim_tests})
	install(TARGETS shim_beside_thunk RUNTIME DESTINATION ${shim_tests})
	install(TARGETS shim_runtime_thunk shim_runtime_hsa LIBRARY DESTINATION ${shim_tests})
endif()
