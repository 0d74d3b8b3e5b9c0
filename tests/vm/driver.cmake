# SPDX-License-Identifier: MIT
# The virtual GPU's front end and engine; included by CMakeLists.txt here.
include(GNUInstallDirs)
include(${CMAKE_CURRENT_LIST_DIR}/../common/CMakeLists.txt)
find_package(Threads REQUIRED)

find_path(HSAKMT_PARENT hsakmt/hsakmt.h HINTS /opt/rocm/include)
find_library(HSAKMT_LIBRARY hsakmt HINTS /opt/rocm/lib)

add_executable(front_stress front_stress.c)
add_executable(sdma_smoke sdma_smoke.c)
target_link_libraries(sdma_smoke PRIVATE kfdsvm-test-common)
set(driver_tests front_stress sdma_smoke)
if(HSAKMT_PARENT AND HSAKMT_LIBRARY)
	add_executable(hsakmt_smoke hsakmt_smoke.c)
	target_include_directories(hsakmt_smoke SYSTEM PRIVATE ${HSAKMT_PARENT})
	target_link_libraries(hsakmt_smoke PRIVATE ${HSAKMT_LIBRARY})
	list(APPEND driver_tests hsakmt_smoke)
endif()
foreach(program ${driver_tests})
	target_link_libraries(${program} PRIVATE Threads::Threads)
endforeach()
install(TARGETS ${driver_tests} RUNTIME DESTINATION ${CMAKE_INSTALL_LIBEXECDIR}/kfdsvm)
