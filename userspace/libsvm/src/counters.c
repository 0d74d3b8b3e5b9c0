// SPDX-License-Identifier: MIT
/* What the driver counts: sysfs, which upstream's has, too, and debugfs of ours. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lines.h"

#define PATH_LEN 160

static bool read_number(const struct kfdsvm *h, const char *path, uint64_t *value)
{
	char text[32];
	const char *at = text;
	ssize_t n = h->sys->read_file(h->sys->ctx, path, text, sizeof(text));

	return n > 0 && kfdsvm_number(&at, text + n, 10, value);
}

static void read_sysfs(const struct kfdsvm *h, pid_t pid, uint32_t gpu_id, const char *name,
		       uint64_t *value)
{
	char path[PATH_LEN];

	snprintf(path, sizeof(path), SYS_PROC "/%d/counters_%u/%s", (int)pid, gpu_id, name);
	if (!read_number(h, path, value))
		*value = KFDSVM_UNKNOWN;
}

static void read_vram(const struct kfdsvm *h, pid_t pid, struct kfdsvm_counters *c)
{
	char path[PATH_LEN];

	snprintf(path, sizeof(path), SYS_PROC "/%d/vram_%u", (int)pid, c->gpu_id);
	if (!read_number(h, path, &c->vram_len))
		c->vram_len = KFDSVM_UNKNOWN;
}

/* The line of one GPU: "gpu ID NAME NUMBER NAME NUMBER ..." */
static void take_line(const char *line, struct kfdsvm_counters *c)
{
	const struct {
		const char *word;
		uint64_t *value;
	} words[] = {
		{ "vram_pages", &c->vram_pages },
		{ "pages_mapped", &c->pages_mapped },
		{ "invalidations", &c->invalidations },
		{ "populates", &c->populates },
		{ "retries", &c->retries },
		{ "restores", &c->restores },
	};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (!kfdsvm_word_number(line, words[i].word, words[i].value))
			*words[i].value = KFDSVM_UNKNOWN;
}

static bool read_debugfs(const struct kfdsvm *h, pid_t pid, struct kfdsvm_counters *c)
{
	struct kfdsvm_lines lines;
	char path[PATH_LEN];
	const char *line;
	bool found = false;
	uint64_t id;

	snprintf(path, sizeof(path), DEBUG_SVM "/%d/counters", (int)pid);
	if (kfdsvm_lines_open(&lines, h->sys, path))
		return false;
	while (!found && (line = kfdsvm_lines_next(&lines))) {
		found = kfdsvm_word_number(line, "gpu", &id) && id == c->gpu_id;
		if (found)
			take_line(line, c);
	}
	kfdsvm_lines_close(&lines);
	return found;
}

static bool process_is_shown(const struct kfdsvm *h, pid_t pid)
{
	char path[PATH_LEN];
	struct stat st;

	snprintf(path, sizeof(path), SYS_PROC "/%d", (int)pid);
	return !h->sys->stat(h->sys->ctx, path, &st);
}

static int read_counters(const struct kfdsvm *h, struct kfdsvm_counters *c)
{
	pid_t pid = c->pid ? c->pid : h->driver_pid;

	if (!kfdsvm_has_gpu(h, c->gpu_id) || c->pid < 0)
		return -EINVAL;
	if (c->pid && !process_is_shown(h, pid))
		return -ESRCH;
	read_sysfs(h, pid, c->gpu_id, "faults", &c->faults);
	read_sysfs(h, pid, c->gpu_id, "page_in", &c->page_in);
	read_sysfs(h, pid, c->gpu_id, "page_out", &c->page_out);
	read_vram(h, pid, c);
	if (!read_debugfs(h, pid, c))
		take_line("", c);
	return 0;
}

int kfdsvm_counters(struct kfdsvm *h, struct kfdsvm_counters *counters)
{
	struct kfdsvm_counters known;
	int saved = errno;
	int ret = kfdsvm_check(h);

	if (!ret)
		ret = counters ? kfdsvm_take(&known, sizeof(known), counters) : -EINVAL;
	if (!ret)
		ret = read_counters(h, &known);
	if (!ret)
		ret = kfdsvm_give(counters, &known, sizeof(known));
	errno = saved;
	return ret;
}

/* A GPU without VRAM for shared memory counts nothing, and need not be asked. */
static void add_moved(const struct kfdsvm *h, uint32_t gpu_id, const char *name,
		      uint64_t *total)
{
	uint64_t pages;

	read_sysfs(h, h->driver_pid, gpu_id, name, &pages);
	if (pages == KFDSVM_UNKNOWN || *total == KFDSVM_UNKNOWN)
		*total = KFDSVM_UNKNOWN;
	else
		*total += pages * h->page;
}

void kfdsvm_moved(const struct kfdsvm *h, uint64_t *in, uint64_t *out)
{
	*in = 0;
	*out = 0;
	for (unsigned int i = 0; i < h->ndevices; i++) {
		const struct kfdsvm_device *dev = &h->devices[i];

		if (!dev->info.usable || dev->migration == KFDSVM_MIGRATION_NONE)
			continue;
		add_moved(h, dev->info.gpu_id, "page_in", in);
		add_moved(h, dev->info.gpu_id, "page_out", out);
	}
}
