// SPDX-License-Identifier: MIT
/* kfdsvm info: what the machine has, whether SVM works, and if not what is missing. */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <kfdsvm.h>

#include "command.h"

static void usage(FILE *to)
{
	fputs("usage: kfdsvm info\n\n"
	      "Show the GPUs, whether memory can be shared with them, and if not, why and\n"
	      "what would help. Sets nothing.\n\n"
	      "exit status: 0 at least one GPU can share memory, 1 none can, 2 bad usage\n", to);
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

/* What the running kernel's config says about @name: 'y', 'm', 'n', or '?'. */
static char kernel_config(const char *name)
{
	struct utsname uts;
	char path[160], line[256], want[64];
	char found = '?';
	size_t len;
	FILE *file;

	if (uname(&uts))
		return found;
	snprintf(path, sizeof(path), "/boot/config-%s", uts.release);
	file = fopen(path, "re");
	if (!file)
		return found;
	found = 'n';
	snprintf(want, sizeof(want), "CONFIG_%s=", name);
	len = strlen(want);
	while (fgets(line, sizeof(line), file))
		if (!strncmp(line, want, len))
			found = line[len];
	fclose(file);
	return found;
}

static void print_kernel_config(void)
{
	static const char *const names[] = {
		"HSA_AMD", "HSA_AMD_SVM", "DEVICE_PRIVATE", "HMM_MIRROR",
	};

	printf("      this kernel's configuration:");
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		printf(" %s=%c", names[i], kernel_config(names[i]));
	printf("\n");
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
	printf("  SVM:  %s\n", info.usable ? "works" : "does not work");
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

static int print_all(struct kfdsvm *h)
{
	struct kfdsvm_why why = { .size = sizeof(why) };
	uint32_t major, minor;

	printf("kfdsvm %s", kfdsvm_version());
	if (!kfdsvm_kfd_version(h, &major, &minor))
		printf(", /dev/kfd interface %u.%u", major, minor);
	printf(", page size %ld\n", sysconf(_SC_PAGESIZE));
	kfdsvm_why(h, &why);
	for (unsigned int i = 0; i < kfdsvm_device_count(h); i++)
		print_gpu(h, i, why.reason);
	if (why.reason == KFDSVM_REASON_NONE) {
		print_xnack(h);
		printf("SVM: works\n");
		return EXIT_WORKS;
	}
	printf("SVM: does not work\n");
	print_why("", &why);
	if (why.reason == KFDSVM_REASON_KERNEL_NO_SVM || why.reason == KFDSVM_REASON_GPU_NO_SVM)
		print_kernel_config();
	return EXIT_NO_SVM;
}

int command_info(int argc, char **argv)
{
	static const struct option long_options[] = {
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	struct kfdsvm_open_options options = {
		.size = sizeof(options),
		.flags = KFDSVM_OPEN_INSPECT,
	};
	struct kfdsvm *h;
	int opt, ret;

	while ((opt = getopt_long(argc, argv, "h", long_options, NULL)) != -1) {
		usage(opt == 'h' ? stdout : stderr);
		return opt == 'h' ? EXIT_WORKS : EXIT_USAGE;
	}
	if (optind < argc) {
		usage(stderr);
		return EXIT_USAGE;
	}
	ret = kfdsvm_open(&h, &options);
	if (ret) {
		fprintf(stderr, "kfdsvm info: %s\n", kfdsvm_strerror(ret));
		return EXIT_NO_SVM;
	}
	ret = print_all(h);
	kfdsvm_close(h);
	return ret;
}
