/* SPDX-License-Identifier: MIT */
/*
 * A machine for libkfdsvm that exists only here: sysfs, /dev/kfd, render nodes,
 * libdrm and libhsakmt behind struct kfdsvm_sys. Tests set what it has and what
 * fails, and look at what it was asked.
 */
#ifndef SHIM_FAKE_H
#define SHIM_FAKE_H

#include "../../userspace/libsvm/src/internal.h"

#define FAKE_MAX_GPUS	4
#define FAKE_FD_KFD	100
#define FAKE_FD_RENDER	1000	/* + minor: what open() gives */
#define FAKE_FD_DRM	2000	/* + minor: what libdrm has */
#define FAKE_FD_FILE	3000	/* + index: of files[] */
#define FAKE_FD_PAGEMAP	3999
#define FAKE_MAX_FILES	16
#define FAKE_MAX_PAGES	2048

struct fake_gpu {
	uint32_t gpu_id;
	uint32_t capability;
	uint32_t gfx_version;
	uint32_t render_minor;
	int gpu_id_error;	/* reading gpu_id */
	int render_error;	/* opening the render node */
	int acquire_error;	/* ACQUIRE_VM with any file */
	int acquire_drm_error;	/* with libdrm's file */
	bool no_aperture;
	int bound_fd;		/* file of the first ACQUIRE_VM, 0: none */
	int smi_error;		/* SMI_EVENTS */
	int smi;		/* our end of the event descriptor, 0: none */
};

/* A file of sysfs or debugfs. */
struct fake_file {
	const char *path;
	const char *text;
};

struct fake {
	struct fake_gpu gpus[FAKE_MAX_GPUS];
	unsigned int ngpus;
	bool no_topology;
	bool amdgpu_module;
	int kfd_error;
	mode_t mode;
	int member;
	int version_error;
	uint32_t major;
	uint32_t minor;
	int apertures_error;
	int xnack;
	int xnack_query_error;
	int xnack_set_error;
	enum kfdsvm_thunk thunk;
	int drm_share_error;
	pid_t pid;
	ino_t pid_namespace;
	size_t page;

	/* Results of the next SVM calls; then 0. */
	const int *svm_results;
	unsigned int nsvm_results;
	/* Answers of GET_ATTR, by attribute type; access by GPU in gpu_access. */
	uint32_t get_values[8];
	uint32_t gpu_access[FAKE_MAX_GPUS];

	/* Called for each SVM call, in the caller's thread; result unless svm_results has one. */
	int (*on_svm)(struct fake *fake, struct kfd_svm_args *args);
	void *on_svm_data;

	struct fake_file files[FAKE_MAX_FILES];
	/* The mapped pages from pages_va on: entries of pagemap, and what mincore says. */
	uintptr_t pages_va;
	size_t npages;
	uint64_t pagemap[FAKE_MAX_PAGES];
	unsigned char core[FAKE_MAX_PAGES];
	bool no_pagemap;
	size_t pread_max;	/* bytes that one pread gives; 0: all */

	/* What was asked. */
	unsigned int nsvm;
	struct kfd_svm_args svm;
	struct kfd_svm_attribute attrs[KFD_SVM_MAX_NATTR];
	size_t svm_len;
	unsigned int nudges;
	unsigned int drops;
	unsigned int open_files;
	struct kfdsvm_sys sys;
};

/* A machine with one GPU, gpu_id 0x1234, gfx900, where all works. */
void fake_init(struct fake *fake);
struct fake_gpu *fake_add_gpu(struct fake *fake, uint32_t gpu_id, uint32_t gfx_version);
/* The file's text, now and at later opens; NULL: it is gone. Strings are not copied. */
void fake_set_file(struct fake *fake, const char *path, const char *text);
/* Pages in order, a letter each: s system, v VRAM, w swapped, - absent. */
void fake_set_pages(struct fake *fake, uintptr_t va, const char *kinds);
/* The driver writes to the listener of a GPU. */
void fake_tell(struct fake *fake, unsigned int gpu, const char *text);
/* Opens and expects success. */
struct kfdsvm *fake_open(struct fake *fake);

#endif
