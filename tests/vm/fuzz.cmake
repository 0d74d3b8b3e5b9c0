# SPDX-License-Identifier: GPL-2.0-only
# Programs over tests/common; included by CMakeLists.txt here.
include(${CMAKE_CURRENT_LIST_DIR}/../common/CMakeLists.txt)

add_executable(ioctl_fuzz ${CMAKE_CURRENT_LIST_DIR}/ioctl_fuzz.c)
target_compile_definitions(ioctl_fuzz PRIVATE _GNU_SOURCE)
target_link_libraries(ioctl_fuzz PRIVATE kfdsvm-test-common)
install(TARGETS ioctl_fuzz RUNTIME DESTINATION ${CMAKE_INSTALL_LIBEXECDIR}/kfdsvm)
