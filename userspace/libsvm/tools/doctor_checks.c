// SPDX-License-Identifier: MIT
/* What the library finds: the driver, each GPU, XNACK; and all checks in their order. */
#include "doctor.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct {
	enum kfdsvm_reason reason;
	const char *id;
} ids[] = {
	{ KFDSVM_REASON_NO_KFD, "no-kfd" },
	{ KFDSVM_REASON_KFD_HIDDEN, "kfd-hidden" },
	{ KFDSVM_REASON_KFD_PERMISSION, "kfd-permission" },
	{ KFDSVM_REASON_KFD_ERROR, "kfd-error" },
	{ KFDSVM_REASON_KFD_VERSION, "kfd-version" },
	{ KFDSVM_REASON_KERNEL_NO_SVM, "kernel-no-svm" },
	{ KFDSVM_REASON_NO_TOPOLOGY, "no-topology" },
	{ KFDSVM_REASON_NO_GPU, "no-gpu" },
	{ KFDSVM_REASON_NO_USABLE_GPU, "no-usable-gpu" },
	{ KFDSVM_REASON_GPU_NO_SVM, "gpu-no-svm" },
	{ KFDSVM_REASON_GPU_HIDDEN, "gpu-hidden" },
	{ KFDSVM_REASON_RENDER_MISSING, "render-missing" },
	{ KFDSVM_REASON_RENDER_PERMISSION, "render-permission" },
	{ KFDSVM_REASON_RENDER_ERROR, "render-error" },
	{ KFDSVM_REASON_ACQUIRE, "acquire" },
	{ KFDSVM_REASON_XNACK_HARDWARE, "xnack-hardware" },
	{ KFDSVM_REASON_XNACK_DRIVER, "xnack-driver" },
	{ KFDSVM_REASON_XNACK_BUSY, "xnack-busy" },
	{ KFDSVM_REASON_XNACK_ERROR, "xnack-error" },
};

static const char *reason_id(enum kfdsvm_reason reason)
{
	for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++)
		if (ids[i].reason == reason)
			return ids[i].id;
	return "unknown";
}

struct finding *doctor_add(struct findings *f, enum verdict verdict, const char *id,
			   const char *fix, const char *what, ...)
{
	struct finding *finding;
	va_list args;

	/* With a hundred GPUs the last ones are not told. */
	if (f->n == DOCTOR_MAX_FINDINGS)
		return &f->list[f->n - 1];
	finding = &f->list[f->n++];
	finding->verdict = verdict;
	finding->id = id;
	va_start(args, what);
	vsnprintf(finding->what, sizeof(finding->what), what, args);
	va_end(args);
	snprintf(finding->fix, sizeof(finding->fix), "%s", fix ? fix : "");
	return finding;
}

static void add_why(struct findings *f, enum verdict verdict, const struct kfdsvm_why *why)
{
	doctor_add(f, verdict, reason_id(why->reason), why->fix, "%s",
		   why->what[0] ? why->what : kfdsvm_reason_text(why->reason));
}

/* Is the reason one that says something of a GPU, and not of the machine? */
static bool is_of_gpu(enum kfdsvm_reason reason)
{
	return reason >= KFDSVM_REASON_GPU_NO_SVM && reason < KFDSVM_REASON_XNACK_HARDWARE;
}

static void check_driver(const struct machine *m, const struct kfdsvm_why *why,
			 struct findings *f)
{
	uint32_t major, minor;

	if (!kfdsvm_kfd_version(m->svm, &major, &minor))
		doctor_add(f, VERDICT_OK, "kfd", NULL, "/dev/kfd opens, interface %u.%u", major,
			   minor);
	if (why->reason != KFDSVM_REASON_NONE && !is_of_gpu(why->reason) &&
	    why->reason != KFDSVM_REASON_NO_USABLE_GPU)
		add_why(f, VERDICT_FAIL, why);
}

/* How many GPUs are usable. One that is not is a cause only if no other is. */
static unsigned int check_gpus(const struct machine *m, struct findings *f)
{
	struct kfdsvm_device_info info = { .size = sizeof(info) };
	struct kfdsvm_why why = { .size = sizeof(why) };
	unsigned int n = kfdsvm_device_count(m->svm), usable = 0;

	for (unsigned int i = 0; i < n; i++)
		usable += !kfdsvm_device_info(m->svm, i, &info) && info.usable;
	for (unsigned int i = 0; i < n; i++) {
		if (kfdsvm_device_info(m->svm, i, &info) || kfdsvm_device_why(m->svm, i, &why))
			continue;
		if (info.usable)
			doctor_add(f, VERDICT_OK, "gpu", NULL, "gpu %u (%s) shares memory",
				   info.gpu_id, info.gfx_name);
		else if (is_of_gpu(info.reason))
			add_why(f, usable ? VERDICT_WARN : VERDICT_FAIL, &why);
	}
	if (usable && usable < n)
		doctor_add(f, VERDICT_WARN, "mixed-gpus",
			   "choose the others with ROCR_VISIBLE_DEVICES",
			   "%u of %u GPUs share memory: a program that uses the rest, too, needs "
			   "copies for them", usable, n);
	return usable;
}

/* One GPU that cannot replay faults switches it off for all. */
static void check_mixed(const struct machine *m, struct findings *f)
{
	struct kfdsvm_device_info info = { .size = sizeof(info) };
	uint32_t can = 0, cannot = 0;
	char can_name[16] = "", cannot_name[16] = "";

	for (unsigned int i = 0; i < kfdsvm_device_count(m->svm); i++) {
		if (kfdsvm_device_info(m->svm, i, &info))
			continue;
		if (info.xnack == KFDSVM_XNACK_NEVER) {
			cannot = info.gpu_id;
			snprintf(cannot_name, sizeof(cannot_name), "%s", info.gfx_name);
		} else {
			can = info.gpu_id;
			snprintf(can_name, sizeof(can_name), "%s", info.gfx_name);
		}
	}
	if (can && cannot)
		doctor_add(f, VERDICT_WARN, "mixed-xnack",
			   "hide that GPU from the process (device cgroup, container) or unbind it",
			   "gpu %u (%s) could replay faults, but not beside gpu %u (%s)", can,
			   can_name, cannot, cannot_name);
}

/* The mode that HSA programs get; whether on is possible. */
static int check_xnack(const struct machine *m, bool *possible, struct findings *f)
{
	struct kfdsvm_why why = { .size = sizeof(why) };
	int mode = kfdsvm_xnack_get(m->svm);
	int can = kfdsvm_xnack_why(m->svm, &why);
	bool wanted = m->hsa_xnack && !strcmp(m->hsa_xnack, "1");

	*possible = can > 0;
	if (mode < 0 || can < 0) {
		doctor_add(f, VERDICT_FAIL, "xnack-error", NULL, "XNACK: %s",
			   kfdsvm_strerror(mode < 0 ? mode : can));
		return 0;
	}
	if (!can) {
		/* Hardware that cannot is no defect; a switch that is off may be one. */
		add_why(f, wanted || why.reason == KFDSVM_REASON_XNACK_DRIVER ?
			VERDICT_WARN : VERDICT_NOTE, &why);
		if (wanted)
			doctor_add(f, VERDICT_WARN, "hsa-xnack", "unset HSA_XNACK",
				   "HSA_XNACK=1 has no effect here");
		doctor_add(f, VERDICT_NOTE, "xnack-off",
			   "call kfdsvm_share(), or run the program under kfdsvm run",
			   "XNACK is off: GPUs use memory only after it is shared with them");
		return 0;
	}
	if (m->hsa_xnack)
		mode = wanted;
	if (mode)
		doctor_add(f, VERDICT_OK, "xnack", NULL,
			   "XNACK is on: GPUs use any memory of a process");
	else
		doctor_add(f, VERDICT_NOTE, "xnack-off",
			   "set HSA_XNACK=1 for HIP and HSA programs, or call kfdsvm_xnack_set()",
			   "XNACK is off and can be switched on");
	return mode;
}

bool doctor_check(const struct machine *m, struct findings *f)
{
	struct kfdsvm_why why = { .size = sizeof(why) };
	bool possible = false;
	int xnack = 0;

	kfdsvm_why(m->svm, &why);
	doctor_check_kernel(m, &why, f);
	doctor_check_pci(m, &why, f);
	doctor_check_module(m, &why, f);
	check_driver(m, &why, f);
	if (check_gpus(m, f)) {
		check_mixed(m, f);
		xnack = check_xnack(m, &possible, f);
	}
	if (m->program)
		doctor_check_program(m, xnack, possible, f);
	return why.reason == KFDSVM_REASON_NONE;
}
