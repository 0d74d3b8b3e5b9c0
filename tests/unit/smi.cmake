# SPDX-License-Identifier: GPL-2.0-only
# SMI messages and their queue.
set(VAMDGPU_KFD ${KFDSVM_TOP}/drivers/gpu/drm/amd/vamdgpu/kfd)
add_unit_test(test_smi_queue test_smi_queue.c ${VAMDGPU_KFD}/smi_queue.c)
target_include_directories(test_smi_queue PRIVATE ${VAMDGPU_KFD})
