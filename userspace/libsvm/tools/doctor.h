/* SPDX-License-Identifier: MIT */
/*
 * kfdsvm doctor: what its files share. Checks look at a machine (files below a root folder,
 * a handle of the library) and leave findings; nothing of them is changed.
 */
#ifndef KFDSVM_DOCTOR_H
#define KFDSVM_DOCTOR_H

#include <stdbool.h>
#include <stddef.h>

#include <kfdsvm.h>

#define DOCTOR_MAX_FINDINGS	96
#define DOCTOR_MAX_TARGETS	64

enum verdict {
	VERDICT_OK,
	VERDICT_NOTE,	/* worth knowing */
	VERDICT_WARN,	/* something works less well than it could */
	VERDICT_FAIL,	/* SVM does not work because of it */
};

/** struct finding - one line; @id: what scripts look for; @fix: "" if nothing is to be done */
struct finding {
	enum verdict verdict;
	const char *id;
	char what[320];
	char fix[320];
};

struct findings {
	struct finding list[DOCTOR_MAX_FINDINGS];
	unsigned int n;
};

/**
 * struct machine - what is looked at
 * @root: "" or a folder that stands for /
 * @svm: opened with KFDSVM_OPEN_INSPECT
 * @hsa_xnack: value of the environment variable HSA_XNACK, or NULL
 * @program: a program whose GPU code is looked at, or NULL
 */
struct machine {
	const char *root;
	struct kfdsvm *svm;
	const char *hsa_xnack;
	const char *program;
};

/* Whether SVM works; what is found is added to @findings, causes before consequences. */
bool doctor_check(const struct machine *machine, struct findings *findings);

/* Adds one; @fix may be NULL. @what is of printf. */
struct finding *doctor_add(struct findings *findings, enum verdict verdict, const char *id,
			   const char *fix, const char *what, ...)
	__attribute__((format(printf, 5, 6)));

/* doctor_machine.c. @why: what the library says of the machine as a whole. */
void doctor_check_kernel(const struct machine *machine, const struct kfdsvm_why *why,
			 struct findings *findings);
void doctor_check_module(const struct machine *machine, const struct kfdsvm_why *why,
			 struct findings *findings);
void doctor_check_pci(const struct machine *machine, const struct kfdsvm_why *why,
		      struct findings *findings);

/** struct target - GPU code in a program; @xnack: '+', '-' or 0: built for either */
struct target {
	char gfx_name[16];
	char xnack;
};

/* doctor_program.c: the different targets of a HIP or OpenMP program; how many or -errno. */
int doctor_targets(const char *path, struct target *list, unsigned int room);
/* @xnack: 1, 0; @xnack_possible: it could be switched on. */
void doctor_check_program(const struct machine *machine, int xnack, bool xnack_possible,
			  struct findings *findings);

#endif
