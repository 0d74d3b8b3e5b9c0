// SPDX-License-Identifier: MIT
/*
 * Files of the driver with any content: topology, counters, residency. The input is texts,
 * each ended by a 0: gpu_id, name and properties of node 0, of node 1, ...; the last one is
 * all other files, too.
 */
#include <string.h>

#include "fuzz_shim.h"

#define MAX_TEXTS 64

static void check_device(const struct kfdsvm *h, unsigned int i)
{
	struct kfdsvm_device_info info = { .size = sizeof(info) };
	struct kfdsvm_why why = { .size = sizeof(why) };

	MUST(!kfdsvm_device_info(h, i, &info));
	MUST(memchr(info.name, 0, sizeof(info.name)));
	MUST(memchr(info.gfx_name, 0, sizeof(info.gfx_name)));
	MUST(info.gpu_id && info.usable <= 1 && !info.usable == !!info.reason);
	MUST(!kfdsvm_device_why(h, i, &why));
	MUST(memchr(why.what, 0, sizeof(why.what)) && memchr(why.fix, 0, sizeof(why.fix)));
}

static void use(struct kfdsvm *h)
{
	struct kfdsvm_place places[4];
	struct kfdsvm_residency r = { .size = sizeof(r), .nplaces = 4, .places = places };
	struct kfdsvm_progress progress = { .size = sizeof(progress) };
	struct kfdsvm_counters c = { .size = sizeof(c) };
	struct kfdsvm_device_info info = { .size = sizeof(info) };
	void *va = (void *)0x40000;

	for (unsigned int i = 0; i < kfdsvm_device_count(h); i++) {
		check_device(h, i);
		kfdsvm_device_info(h, i, &info);
		c.gpu_id = info.gpu_id;
		kfdsvm_counters(h, &c);
	}
	if (!kfdsvm_residency(h, va, 700 * 4096, &r, 0, NULL)) {
		MUST(r.nplaces <= 4 && r.len == 700 * 4096);
		if (r.system_len != KFDSVM_UNKNOWN)
			MUST(r.system_len + r.vram_len + r.swapped_len + r.absent_len == r.len);
	}
	kfdsvm_prefetch_measured(h, va, 4096, KFDSVM_SYSTEM, 0, &progress, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct kfdsvm_open_options options = {
		.size = sizeof(options), .flags = KFDSVM_OPEN_INSPECT,
	};
	const char *texts[MAX_TEXTS];
	struct fuzz_machine m;
	struct kfdsvm *h;
	char *copy = malloc(len + 1);

	MUST(copy);
	memcpy(copy, data, len);
	copy[len] = '\0';
	fuzz_machine_init(&m);
	m.texts = texts;
	m.ntexts = 0;
	for (size_t at = 0; at < len && m.ntexts < MAX_TEXTS; at += strlen(copy + at) + 1)
		texts[m.ntexts++] = copy + at;
	MUST(!kfdsvm_open_sys(&h, &options, &m.sys));
	use(h);
	kfdsvm_close(h);
	free(copy);
	return 0;
}
