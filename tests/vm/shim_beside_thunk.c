// SPDX-License-Identifier: MIT
/*
 * libkfdsvm beside libhsakmt and libhsa-runtime64 in one process: in every order
 * of loading and opening both must work on the same memory. Orders matter
 * because the driver ties a process's address space on a GPU to the first DRM
 * file it is given, and refuses a second one.
 *
 * Each case is a process. TAP on stdout; exit 77 where there is no GPU.
 */
#include <dlfcn.h>
#include <errno.h>
#include <kfdsvm.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shim_runtime.h"

#define LEN (256 * 1024 + 123)

static char module_dir[4096];

/**
 * struct process - what a case has
 * @which: "thunk" or "hsa"
 */
struct process {
	const char *which;
	const struct shim_runtime *runtime;
	struct kfdsvm *svm;
	uint32_t node;
	unsigned char *src;
	unsigned char *dst;
};

static bool fail(const char *what, int error)
{
	printf("# %s: %s\n", what, error ? kfdsvm_strerror(error) : "failed");
	return false;
}

static bool load(struct process *p)
{
	char path[sizeof(module_dir) + 64];
	void *module;

	snprintf(path, sizeof(path), "%s/shim_runtime_%s.so", module_dir, p->which);
	module = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	if (!module) {
		printf("# %s\n", dlerror());
		return false;
	}
	p->runtime = dlsym(module, "shim_runtime");
	return p->runtime != NULL;
}

/* The node is needed to open a runtime before the shim: as the topology says. */
static uint32_t first_gpu_node(void)
{
	char path[128], buf[32];

	for (uint32_t node = 0; node < 64; node++) {
		FILE *file;
		bool gpu;

		snprintf(path, sizeof(path),
			 "/sys/devices/virtual/kfd/kfd/topology/nodes/%u/gpu_id", node);
		file = fopen(path, "re");
		if (!file)
			break;
		gpu = fgets(buf, sizeof(buf), file) && atoi(buf) != 0;
		fclose(file);
		if (gpu)
			return node;
	}
	return 0;
}

static bool open_shim(struct process *p)
{
	struct kfdsvm_why why = { .size = sizeof(why) };
	struct kfdsvm_open_options options = { .size = sizeof(options), .why = &why };
	int ret = kfdsvm_open(&p->svm, &options);

	if (!ret)
		return true;
	printf("# kfdsvm_open: %s (%s)\n", kfdsvm_reason_text(why.reason), why.what);
	return false;
}

static bool open_runtime(struct process *p)
{
	return !p->runtime->open(p->node) || fail("open of the runtime", 0);
}

/* Memory shared through the shim, copied by the runtime's queue. */
static bool copy(struct process *p, int seed)
{
	int ret;

	for (size_t i = 0; i < LEN; i++)
		p->src[i] = (unsigned char)(i * 7 + i / 4096 + (size_t)seed);
	memset(p->dst, 0, LEN);
	ret = kfdsvm_share(p->svm, p->src, LEN, NULL, 0, 0, NULL);
	if (ret)
		return fail("share", ret);
	ret = kfdsvm_share(p->svm, p->dst, LEN, NULL, 0, 0, NULL);
	if (ret)
		return fail("share", ret);
	if (p->runtime->copy(p->dst, p->src, LEN))
		return fail("copy", 0);
	return !memcmp(p->src, p->dst, LEN) || fail("compare", 0);
}

static bool shim_then_load_then_open(struct process *p)
{
	return open_shim(p) && load(p) && open_runtime(p) && copy(p, 1);
}

static bool load_then_shim_then_open(struct process *p)
{
	return load(p) && open_shim(p) && open_runtime(p) && copy(p, 2);
}

static bool open_then_shim(struct process *p)
{
	return load(p) && open_runtime(p) && open_shim(p) && copy(p, 3);
}

/* The address space outlives the handle, so the file it is tied to must, too. */
static bool shim_closed_before_open(struct process *p)
{
	if (!open_shim(p))
		return false;
	kfdsvm_close(p->svm);
	p->svm = NULL;
	return load(p) && open_runtime(p) && open_shim(p) && copy(p, 4);
}

static bool runtime_closed_and_opened_again(struct process *p)
{
	if (!load(p) || !open_shim(p) || !open_runtime(p) || !copy(p, 5))
		return false;
	p->runtime->close();
	return open_runtime(p) && copy(p, 6);
}

static bool two_handles(struct process *p)
{
	struct kfdsvm *first;

	if (!open_shim(p))
		return false;
	first = p->svm;
	if (!open_shim(p) || !load(p) || !open_runtime(p) || !copy(p, 7))
		return false;
	kfdsvm_close(first);
	return copy(p, 8);
}

/*
 * In a child: the parent's handle tells, a new one works, and so does the runtime.
 * libhsakmt wants to be closed in the child before it is opened there: it keeps
 * the parent's picture of the topology otherwise, and crashes.
 */
static int child_of_both(struct process *p, bool shim_first)
{
	struct kfdsvm *parents = p->svm;
	int ret = kfdsvm_share(parents, p->src, LEN, NULL, 0, 0, NULL);
	bool good;

	if (ret != -ECHILD) {
		printf("# share with the parent's handle gives %d\n", ret);
		return 1;
	}
	kfdsvm_close(parents);
	if (shim_first) {
		good = open_shim(p);
		p->runtime->close();
		return !(good && open_runtime(p) && copy(p, 10));
	}
	p->runtime->close();
	return !(open_runtime(p) && open_shim(p) && copy(p, 10));
}

static bool fork_with_both(struct process *p, bool shim_first)
{
	int status = -1;
	pid_t pid;

	if (!open_shim(p) || !load(p) || !open_runtime(p) || !copy(p, 9))
		return false;
	fflush(stdout);
	pid = fork();
	if (!pid) {
		int ret = child_of_both(p, shim_first);

		fflush(stdout);
		_exit(ret);
	}
	if (waitpid(pid, &status, 0) != pid || status) {
		printf("# child ends with status 0x%x\n", status);
		return false;
	}
	return copy(p, 11);
}

static bool fork_with_both_shim_first(struct process *p)
{
	return fork_with_both(p, true);
}

static bool fork_with_both_runtime_first(struct process *p)
{
	return fork_with_both(p, false);
}

/* A program that forks workers after looking whether SVM works. */
static bool fork_then_runtime_in_the_child(struct process *p)
{
	int status = -1;
	pid_t pid;

	if (!open_shim(p))
		return false;
	fflush(stdout);
	pid = fork();
	if (!pid) {
		bool good;

		kfdsvm_close(p->svm);
		good = load(p) && open_runtime(p) && open_shim(p) && copy(p, 12);
		fflush(stdout);
		_exit(!good);
	}
	if (waitpid(pid, &status, 0) == pid && !status)
		return true;
	printf("# child ends with status 0x%x\n", status);
	return false;
}

#define THUNK	1
#define HSA	2

static const struct {
	const char *name;
	bool (*run)(struct process *p);
	int which;	/* runtimes it makes sense with */
} cases[] = {
	{ "shim opened, runtime loaded and opened", shim_then_load_then_open, THUNK | HSA },
	{ "runtime loaded, shim opened, runtime opened", load_then_shim_then_open, THUNK | HSA },
	{ "runtime opened, shim opened", open_then_shim, THUNK | HSA },
	{ "shim closed before the runtime opens", shim_closed_before_open, THUNK | HSA },
	{ "runtime closed and opened again", runtime_closed_and_opened_again, THUNK | HSA },
	{ "two handles", two_handles, THUNK },
	/* libhsa-runtime64 has no way to be opened again in a child. */
	{ "fork with both open, child opens the shim first", fork_with_both_shim_first, THUNK },
	{ "fork with both open, child opens the runtime first", fork_with_both_runtime_first,
	  THUNK },
	{ "fork, runtime in the child", fork_then_runtime_in_the_child, THUNK | HSA },
};

#define NCASES (sizeof(cases) / sizeof(cases[0]))

static bool run_case(size_t index, const char *which)
{
	struct process p = { .which = which, .node = first_gpu_node() };
	int status = -1;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (!pid) {
		p.src = malloc(LEN);
		p.dst = malloc(LEN);
		status = !cases[index].run(&p);
		fflush(stdout);
		/* Handlers at exit are the runtimes' business and not what is tested. */
		_exit(status);
	}
	if (waitpid(pid, &status, 0) != pid)
		return false;
	if (status)
		printf("# case ends with status 0x%x\n", status);
	return status == 0;
}

static void find_modules(void)
{
	ssize_t n = readlink("/proc/self/exe", module_dir, sizeof(module_dir) - 1);

	module_dir[n > 0 ? n : 0] = '\0';
	if (strrchr(module_dir, '/'))
		*strrchr(module_dir, '/') = '\0';
}

int main(void)
{
	static const char *const names[] = { "thunk", "hsa" };
	unsigned int n = 0, bad = 0;

	if (!first_gpu_node()) {
		printf("no GPU in the KFD topology\n");
		return 77;
	}
	find_modules();
	for (int w = 0; w < 2; w++) {
		for (size_t i = 0; i < NCASES; i++) {
			bool good;

			if (!(cases[i].which & (1 << w)))
				continue;
			good = run_case(i, names[w]);
			bad += !good;
			printf("%sok %u - %s: %s\n", good ? "" : "not ", ++n, names[w],
			       cases[i].name);
		}
	}
	printf("1..%u\n", n);
	return bad ? 1 : 0;
}
