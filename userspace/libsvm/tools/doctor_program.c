// SPDX-License-Identifier: MIT
/*
 * GPU code in a program: compilers bundle it under names such as
 * "hipv4-amdgcn-amd-amdhsa--gfx90a:sramecc+:xnack-". They are looked for as text, in
 * whatever file format, compressed bundles aside.
 */
#include "doctor.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define MARK	"amdgcn-amd-amdhsa--gfx"

static const char *find_mark(const char *at, const char *end)
{
	const size_t len = sizeof(MARK) - 1;

	while ((size_t)(end - at) >= len) {
		at = memchr(at, MARK[0], (size_t)(end - at) - len + 1);
		if (!at)
			return NULL;
		if (!memcmp(at, MARK, len))
			return at + len - 3;
		at++;
	}
	return NULL;
}

/* At "gfx90a:sramecc+:xnack-"; false: the name is too long to be one. */
static bool read_target(const char *at, const char *end, struct target *target)
{
	size_t n = 0;

	memset(target, 0, sizeof(*target));
	while (at < end && isalnum((unsigned char)*at)) {
		if (n + 1 == sizeof(target->gfx_name))
			return false;
		target->gfx_name[n++] = *at++;
	}
	while (at < end && *at == ':') {
		const char *feature = ++at;

		while (at < end && islower((unsigned char)*at))
			at++;
		if (at == end || (*at != '+' && *at != '-'))
			break;
		if (at - feature == 5 && !memcmp(feature, "xnack", 5))
			target->xnack = *at;
		at++;
	}
	/* "gfx" alone is in the text of every tool that looks for it. */
	return n > 3 && isdigit((unsigned char)target->gfx_name[3]);
}

static unsigned int scan(const char *text, size_t len, struct target *list, unsigned int room)
{
	const char *at = text, *end = text + len;
	struct target target;
	unsigned int n = 0, i;

	while (n < room && (at = find_mark(at, end))) {
		if (!read_target(at, end, &target))
			continue;
		for (i = 0; i < n && memcmp(&list[i], &target, sizeof(target)); i++)
			;
		if (i == n)
			list[n++] = target;
	}
	return n;
}

int doctor_targets(const char *path, struct target *list, unsigned int room)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	void *text;
	int ret;

	if (fd < 0)
		return -errno;
	ret = fstat(fd, &st) ? -errno : 0;
	if (!ret && !S_ISREG(st.st_mode))
		ret = -EINVAL;
	if (ret || !st.st_size) {
		close(fd);
		return ret;
	}
	text = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	ret = text == MAP_FAILED ? -errno : 0;
	close(fd);
	if (ret)
		return ret;
	ret = (int)scan(text, (size_t)st.st_size, list, room);
	munmap(text, (size_t)st.st_size);
	return ret;
}

/* For one GPU: is there code that would be loaded, and if not, which feature is wrong? */
static void check_gpu(const struct machine *m, const struct kfdsvm_device_info *gpu,
		      const struct target *list, int n, int xnack, bool possible,
		      struct findings *f)
{
	char other = 0;

	for (int i = 0; i < n; i++) {
		if (strcmp(list[i].gfx_name, gpu->gfx_name))
			continue;
		if (!list[i].xnack || list[i].xnack == (xnack ? '+' : '-')) {
			doctor_add(f, VERDICT_OK, "program", NULL, "%s has code for gpu %u (%s)",
				   m->program, gpu->gpu_id, gpu->gfx_name);
			return;
		}
		other = list[i].xnack;
	}
	if (!other)
		doctor_add(f, VERDICT_FAIL, "program-target",
			   "build it with --offload-arch of this GPU",
			   "%s has no code for gpu %u (%s)", m->program, gpu->gpu_id,
			   gpu->gfx_name);
	else if (other == '+')
		doctor_add(f, VERDICT_FAIL, "program-xnack",
			   possible ? "set HSA_XNACK=1 in its environment" :
			   "build it without :xnack+ in --offload-arch",
			   "%s is built for XNACK on (%s:xnack+), and XNACK is off", m->program,
			   gpu->gfx_name);
	else
		doctor_add(f, VERDICT_FAIL, "program-xnack",
			   "set HSA_XNACK=0, or build it without :xnack- in --offload-arch",
			   "%s is built for XNACK off (%s:xnack-), and XNACK is on", m->program,
			   gpu->gfx_name);
}

void doctor_check_program(const struct machine *m, int xnack, bool xnack_possible,
			  struct findings *f)
{
	struct kfdsvm_device_info gpu = { .size = sizeof(gpu) };
	struct target list[DOCTOR_MAX_TARGETS];
	int n = doctor_targets(m->program, list, DOCTOR_MAX_TARGETS);

	if (n < 0) {
		doctor_add(f, VERDICT_FAIL, "program-file", NULL, "%s: %s", m->program,
			   strerror(-n));
		return;
	}
	if (!n) {
		doctor_add(f, VERDICT_NOTE, "program", NULL,
			   "%s has no GPU code in it, or compressed or in other files", m->program);
		return;
	}
	for (unsigned int i = 0; i < kfdsvm_device_count(m->svm); i++)
		if (!kfdsvm_device_info(m->svm, i, &gpu) && gpu.usable)
			check_gpu(m, &gpu, list, n, xnack, xnack_possible, f);
}
