# SPDX-License-Identifier: MIT
# Tests of libkfdsvm that need no driver; included by CMakeLists.txt here.
include(CheckLanguage)
find_package(Threads REQUIRED)
find_library(CMOCKA_LIBRARY cmocka REQUIRED)
find_path(KFDSVM_DRM_INCLUDE drm.h PATH_SUFFIXES libdrm drm)

set(shim ${CMAKE_CURRENT_SOURCE_DIR}/../../userspace/libsvm)

foreach(name test_shim_open test_shim_range test_shim_promises)
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
