# SPDX-License-Identifier: GPL-2.0-only
# The SVM core over memory of other devices; included by CMakeLists.txt here.
include(${CMAKE_CURRENT_LIST_DIR}/../common/CMakeLists.txt)

add_executable(svm_device ${CMAKE_CURRENT_LIST_DIR}/svm_device.c
	${CMAKE_CURRENT_LIST_DIR}/../common/cases.c)
target_include_directories(svm_device PRIVATE ${CMAKE_CURRENT_LIST_DIR}/../module/devmem)
target_compile_definitions(svm_device PRIVATE _GNU_SOURCE)
target_link_libraries(svm_device PRIVATE kfdsvm-test-common)
install(TARGETS svm_device RUNTIME DESTINATION ${CMAKE_INSTALL_LIBEXECDIR}/kfdsvm)
