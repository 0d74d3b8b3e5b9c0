# SPDX-License-Identifier: GPL-2.0-only
# The virtual GPU's pure files.
set(GFX9 ${KFDSVM_TOP}/drivers/gpu/drm/amd/vamdgpu/gfx9)

foreach(test pte:pte pgtable:pgtable,pte tlb:tlb,pte sdma:sdma_decode)
	string(REGEX REPLACE ":.*" "" name ${test})
	string(REGEX REPLACE ".*:" "" files ${test})
	string(REPLACE "," ";" files ${files})
	list(TRANSFORM files PREPEND ${GFX9}/)
	list(TRANSFORM files APPEND .c)
	add_unit_test(test_gfx9_${name} test_gfx9_${name}.c ${files})
	target_include_directories(test_gfx9_${name} PRIVATE ${GFX9})
endforeach()
