/* SPDX-License-Identifier: GPL-2.0-only */
/* Kernel allocations that fail: debug kernel, --inject. */
#ifndef CONF_INJECT_H
#define CONF_INJECT_H

#include <stdbool.h>

#define INJECT_MAX_NTH 400

/* Skips the case where the kernel cannot. */
void inject_arm(void);
/* The @n'th from now of this task fails. */
void inject_fail_nth(unsigned int n);
/* Whether the failure was used up; also ends the injection. */
bool inject_was_hit(void);

/* One of the next @n of the kernel's workers fails. */
void inject_in_workers(unsigned int n);
bool inject_in_workers_was_hit(void);

#endif /* CONF_INJECT_H */
