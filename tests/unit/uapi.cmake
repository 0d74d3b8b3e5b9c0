# SPDX-License-Identifier: GPL-2.0-only
# Layout of the user ABI, against the system's <linux/kfd_ioctl.h>; included by CMakeLists.txt here.
find_library(CMOCKA_LIBRARY cmocka REQUIRED)
find_path(KFDSVM_UAPI_DRM_INCLUDE drm.h PATH_SUFFIXES libdrm drm)

# <linux/kfd_ioctl.h> wants <drm/drm.h>, which distributions may keep as <libdrm/drm.h>.
set(uapi_drm ${CMAKE_CURRENT_BINARY_DIR}/uapi-drm)
file(MAKE_DIRECTORY ${uapi_drm})
if(KFDSVM_UAPI_DRM_INCLUDE)
	file(CREATE_LINK ${KFDSVM_UAPI_DRM_INCLUDE} ${uapi_drm}/drm SYMBOLIC)
endif()

add_executable(test_uapi_layout ${CMAKE_CURRENT_LIST_DIR}/test_uapi_layout.c)
target_include_directories(test_uapi_layout PRIVATE ${uapi_drm})
target_compile_options(test_uapi_layout PRIVATE -Wall -Wextra)
target_link_libraries(test_uapi_layout PRIVATE ${CMOCKA_LIBRARY})
add_test(NAME test_uapi_layout COMMAND test_uapi_layout)
