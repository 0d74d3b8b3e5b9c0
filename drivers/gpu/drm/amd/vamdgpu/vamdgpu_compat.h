/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Differences between kernels that matter to the virtual GPU. Macros come from
 * Kbuild, which looks into the kernel's headers.
 */
#ifndef _VAMDGPU_COMPAT_H
#define _VAMDGPU_COMPAT_H

#include <drm/drm_drv.h>

/* struct drm_driver lost its date in 6.14. */
#ifdef VAMDGPU_DRM_DRIVER_HAS_DATE
#define VAMDGPU_DRM_DRIVER_DATE .date = "20250101",
#else
#define VAMDGPU_DRM_DRIVER_DATE
#endif

#endif /* _VAMDGPU_COMPAT_H */
