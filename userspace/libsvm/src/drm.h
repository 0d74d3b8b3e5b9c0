/* SPDX-License-Identifier: MIT */
#ifndef KFDSVM_DRM_H
#define KFDSVM_DRM_H

#include "internal.h"

/* See struct kfdsvm_sys. */
enum kfdsvm_thunk kfdsvm_real_thunk(void *ctx);
void kfdsvm_real_thunk_nudge(void *ctx);
int kfdsvm_real_drm_share(void *ctx, unsigned int minor, int fd);
void kfdsvm_real_drm_drop(void *ctx, unsigned int minor);

#endif
