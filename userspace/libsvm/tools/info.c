// SPDX-License-Identifier: MIT
/* kfdsvm info: what the machine has, whether SVM works, and if not what is missing. */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <linux/kfd_svm.h>

#include "command.h"
#include "info.h"
#include "output.h"

static void usage(FILE *to)
{
	fputs("usage: kfdsvm info [OPTION]...\n\n"
	      "Show the GPUs, whether memory can be shared with them and if not why, XNACK and\n"
	      "limits. Sets nothing. kfdsvm doctor looks deeper for causes.\n\n"
	      "  -j, --json     as JSON\n"
	      "  -h, --help     this text\n"
	      "  -V, --version  the version\n\n"
	      "exit status: 0 at least one GPU can share memory, 1 none can, 2 bad usage, 3\n"
	      "another error\n", to);
}

/* The wording of "why" is the library's; here it gets its place. */
static void print_why(const char *indent, const struct kfdsvm_why *why)
{
	printf("%swhy:  %s\n", indent, kfdsvm_reason_text(why->reason));
	if (why->what[0])
		printf("%s      %s\n", indent, why->what);
	if (why->fix[0])
		printf("%sfix:  %s\n", indent, why->fix);
}

/* Asked of a page of its own, which has nobody's advice. */
static uint64_t window_len(struct kfdsvm *svm, uint64_t page_len)
{
	struct kfdsvm_attributes attributes = { .size = sizeof(attributes) };
	void *page = mmap(NULL, page_len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			  -1, 0);
	int ret;

	if (page == MAP_FAILED)
		return 0;
	ret = kfdsvm_query(svm, page, page_len, &attributes, 0, NULL);
	munmap(page, page_len);
	return ret || attributes.granularity_lg2 > 40 ? 0 :
	       page_len << attributes.granularity_lg2;
}

void info_limits(struct kfdsvm *svm, struct limits *limits)
{
	struct kfdsvm_device_info info = { .size = sizeof(info) };

	*limits = (struct limits){
		.page_len = (uint64_t)sysconf(_SC_PAGESIZE),
		.attributes = KFD_SVM_MAX_NATTR,
	};
	limits->window_len = window_len(svm, limits->page_len);
	limits->memory_len = (uint64_t)sysconf(_SC_PHYS_PAGES) * limits->page_len;
	for (unsigned int i = 0; i < kfdsvm_device_count(svm); i++)
		if (!kfdsvm_device_info(svm, i, &info) && info.usable)
			limits->vram_len += info.vram_len;
}

static void print_limits(const struct limits *limits)
{
	printf("limits: page %" PRIu64 " bytes, ", limits->page_len);
	if (limits->window_len)
		printf("%" PRIu64 " KiB move together by default, ", limits->window_len >> 10);
	printf("%" PRIu64 " attributes in a call\n", limits->attributes);
	printf("        VRAM %" PRIu64 " MiB of %" PRIu64 " MiB system memory\n",
	       limits->vram_len >> 20, limits->memory_len >> 20);
}

static const char *verdict(bool works)
{
	return works ? "works" : "does not work";
}

/* @machine: what is wrong with the machine as a whole; told once, at the end. */
static void print_gpu(struct kfdsvm *h, unsigned int index, enum kfdsvm_reason machine)
{
	static const char *const xnack[] = {
		[KFDSVM_XNACK_NEVER] = "no, as on all GPUs since GFX10",
		[KFDSVM_XNACK_DRIVER] = "if its driver was loaded with noretry=0",
		[KFDSVM_XNACK_PROCESS] = "yes, each process chooses",
	};
	struct kfdsvm_device_info info = { .size = sizeof(info) };
	struct kfdsvm_why why = { .size = sizeof(why) };

	if (kfdsvm_device_info(h, index, &info) || kfdsvm_device_why(h, index, &why))
		return;
	printf("gpu %u: %s %s\n", info.gpu_id, info.gfx_name, info.name);
	printf("  node %u, PCI %04x:%04x, ", info.node, info.vendor_id, info.device_id);
	if (info.render_minor)
		printf("/dev/dri/renderD%u", info.render_minor);
	else
		printf("no render node");
	printf(", VRAM %" PRIu64 " MiB\n", info.vram_len >> 20);
	printf("  can replay faults (XNACK): %s\n",
	       info.xnack <= KFDSVM_XNACK_PROCESS ? xnack[info.xnack] : "unknown");
	printf("  SVM:  %s\n", verdict(info.usable));
	if (!info.usable && why.reason != machine)
		print_why("  ", &why);
}

static void print_xnack(struct kfdsvm *h)
{
	struct kfdsvm_why why = { .size = sizeof(why) };
	int mode = kfdsvm_xnack_get(h);
	int possible = kfdsvm_xnack_why(h, &why);

	if (mode < 0 || possible < 0) {
		printf("XNACK: %s\n", kfdsvm_strerror(mode < 0 ? mode : possible));
		return;
	}
	if (!possible) {
		printf("XNACK: off, and cannot be switched on; memory has to be shared\n");
		print_why("  ", &why);
		return;
	}
	printf("XNACK: %s by default; %s\n", mode ? "on" : "off",
	       mode ? "GPUs can use any memory unshared" : "a process can switch it on");
}

static void print_all(struct kfdsvm *h, const struct limits *limits,
		      const struct kfdsvm_why *why)
{
	bool works = why->reason == KFDSVM_REASON_NONE;
	uint32_t major, minor;

	printf("kfdsvm %s", kfdsvm_version());
	if (!kfdsvm_kfd_version(h, &major, &minor))
		printf(", /dev/kfd interface %u.%u", major, minor);
	putchar('\n');
	for (unsigned int i = 0; i < kfdsvm_device_count(h); i++)
		print_gpu(h, i, why->reason);
	if (works)
		print_xnack(h);
	print_limits(limits);
	printf("SVM: %s%s%s\n", colour(works ? COLOUR_GOOD : COLOUR_BAD), verdict(works),
	       colour(COLOUR_NONE));
	if (!works)
		print_why("", why);
}

static int info(bool json)
{
	const struct kfdsvm_open_options options = {
		.size = sizeof(options),
		.flags = KFDSVM_OPEN_INSPECT,
	};
	struct kfdsvm_why why = { .size = sizeof(why) };
	struct limits limits;
	struct kfdsvm *h;
	int ret = kfdsvm_open(&h, &options);

	if (ret) {
		fprintf(stderr, "kfdsvm info: %s\n", kfdsvm_strerror(ret));
		return EXIT_ERROR;
	}
	kfdsvm_why(h, &why);
	info_limits(h, &limits);
	if (json)
		info_print_json(h, &limits);
	else
		print_all(h, &limits, &why);
	kfdsvm_close(h);
	return output_end(why.reason == KFDSVM_REASON_NONE ? EXIT_WORKS : EXIT_NO_SVM);
}

int command_info(int argc, char **argv)
{
	static const struct option long_options[] = {
		{ "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },
		{ 0 },
	};
	bool json = false;
	int opt;

	while ((opt = getopt_long(argc, argv, "jhV", long_options, NULL)) != -1) {
		switch (opt) {
		case 'j':
			json = true;
			break;
		default:
			return command_option(opt, usage, EXIT_USAGE);
		}
	}
	if (optind < argc) {
		usage(stderr);
		return EXIT_USAGE;
	}
	return info(json);
}
