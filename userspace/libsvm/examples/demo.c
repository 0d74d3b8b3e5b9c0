// SPDX-License-Identifier: MIT
#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "demo.h"

static void usage(FILE *to)
{
	fputs("usage: kfdsvm-demo [--file PATH] [--pass on|off]\n\n"
	      "A GPU's copy engine works on ordinary memory of this program: malloc, stack,\n"
	      "global, a mapped file. Once with XNACK on and nothing shared, once with XNACK\n"
	      "off and the memory shared.\n\n"
	      "  --file PATH   the mapped file (default: $KFDSVM_DEMO_FILE, else in /mnt/disk if\n"
	      "                that exists, else in $TMPDIR or /tmp); it is removed at the end\n"
	      "  --pass MODE   only that pass, in this process\n\n"
	      "The last line is 'demo: OK', and the exit status 0, if all checks passed.\n", to);
}

static void print_why(const char *what, const struct kfdsvm_why *why)
{
	printf("  %s: %s\n", what, kfdsvm_reason_text(why->reason));
	if (why->what[0])
		printf("  (%s)\n", why->what);
	if (why->fix[0])
		printf("  fix: %s\n", why->fix);
}

bool demo_check(struct demo *demo, bool good, const char *what, ...)
{
	va_list args;

	demo->checks++;
	if (good)
		return true;
	demo->failures++;
	printf("  FAILED ");
	va_start(args, what);
	vprintf(what, args);
	va_end(args);
	printf("\n");
	return false;
}

bool demo_share(struct demo *demo, const void *addr, size_t len)
{
	int ret;

	if (demo->xnack)
		return true;
	ret = kfdsvm_share(demo->svm, addr, len, &demo->gpu_id, 1, 0, NULL);
	return demo_check(demo, !ret, "share of %p+0x%zx: %s", addr, len, kfdsvm_strerror(ret));
}

/* The first GPU that works; its topology node is what libhsakmt calls it. */
static int find_gpu(struct demo *demo, uint32_t *node)
{
	struct kfdsvm_device_info info = { .size = sizeof(info) };

	for (unsigned int i = 0; i < kfdsvm_device_count(demo->svm); i++) {
		kfdsvm_device_info(demo->svm, i, &info);
		if (!info.usable)
			continue;
		demo->gpu_id = info.gpu_id;
		*node = info.node;
		return 0;
	}
	return -1;
}

/* The order matters: XNACK is fixed once there is a queue. */
int demo_open(struct demo *demo)
{
	struct kfdsvm_why why = { .size = sizeof(why) };
	struct kfdsvm_open_options options = { .size = sizeof(options), .why = &why };
	uint32_t node;
	int ret = kfdsvm_open(&demo->svm, &options);

	if (ret) {
		print_why("SVM does not work", &why);
		return PASS_FAILED;
	}
	if (demo->xnack && kfdsvm_xnack_why(demo->svm, &why) == 0) {
		print_why("skipped, XNACK cannot be switched on", &why);
		return PASS_SKIPPED;
	}
	ret = kfdsvm_xnack_set(demo->svm, demo->xnack);
	if (ret) {
		printf("  XNACK cannot be switched %s: %s\n", demo->xnack ? "on" : "off",
		       kfdsvm_strerror(ret));
		return PASS_FAILED;
	}
	if (find_gpu(demo, &node) || gpu_open(&demo->gpu, node))
		return PASS_FAILED;
	demo->mirror = malloc(MIRROR_LEN);
	if (!demo->mirror)
		return PASS_FAILED;
	/* Written once, so that the counters below are about the region. */
	memset(demo->mirror, 0, MIRROR_LEN);
	return demo_share(demo, demo->mirror, MIRROR_LEN) ? PASS_OK : PASS_FAILED;
}

void demo_close(struct demo *demo)
{
	if (demo->gpu.ring)
		gpu_close(&demo->gpu);
	free(demo->mirror);
	kfdsvm_close(demo->svm);
}

static int run_pass(struct demo *demo, const char *exception)
{
	int ret = demo_open(demo);

	if (!ret && exception) {
		ret = demo_exception_child(demo, exception);
		/* Its queue is broken: leave the cleaning to the kernel. */
		fflush(stdout);
		_exit(ret);
	}
	if (!ret) {
		counters_header();
		demo_regions(demo);
		demo_events(demo);
		demo_exceptions(demo);
		printf("  %u checks, %u failed\n", demo->checks, demo->failures);
		ret = demo->failures ? PASS_FAILED : PASS_OK;
	}
	demo_close(demo);
	return ret;
}

static int spawn_pass(const char *mode, const char *file)
{
	int status = -1;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (!pid) {
		execl("/proc/self/exe", "kfdsvm-demo", "--pass", mode, "--file", file,
		      (char *)NULL);
		_exit(127);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		return PASS_FAILED;
	return WEXITSTATUS(status);
}

static int run_all(const char *file)
{
	const char *failed = NULL;
	int ret;

	printf("XNACK on, nothing shared: the GPU faults and is served\n");
	ret = spawn_pass("on", file);
	if (ret && ret != PASS_SKIPPED)
		failed = "pass with XNACK on";
	printf("\nXNACK off, memory shared by libkfdsvm: queues stop while the CPU changes it\n");
	ret = spawn_pass("off", file);
	if (ret)
		failed = failed ? "both passes" : "pass with XNACK off";
	if (failed) {
		printf("\ndemo: FAILED (%s)\n", failed);
		return EXIT_FAILURE;
	}
	printf("\ndemo: OK\n");
	return EXIT_SUCCESS;
}

static const char *default_file(char *buf, size_t len)
{
	const char *file = getenv("KFDSVM_DEMO_FILE");
	const char *dir = getenv("TMPDIR");
	struct stat st;

	if (file)
		return file;
	if (!stat("/mnt/disk", &st) && S_ISDIR(st.st_mode) && !access("/mnt/disk", W_OK))
		dir = "/mnt/disk";
	snprintf(buf, len, "%s/kfdsvm-demo.%d", dir ? dir : "/tmp", (int)getpid());
	return buf;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "file", required_argument, NULL, 'f' },
		{ "pass", required_argument, NULL, 'p' },
		{ "exception", required_argument, NULL, 'e' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	const char *pass = NULL, *exception = NULL;
	struct demo demo = { 0 };
	char buf[4096];
	int opt;

	while ((opt = getopt_long(argc, argv, "f:p:h", options, NULL)) != -1) {
		switch (opt) {
		case 'f':
			demo.file = optarg;
			break;
		case 'p':
			pass = optarg;
			break;
		case 'e':
			exception = optarg;
			break;
		default:
			usage(opt == 'h' ? stdout : stderr);
			return opt == 'h' ? 0 : 2;
		}
	}
	if (optind < argc || (pass && strcmp(pass, "on") && strcmp(pass, "off"))) {
		usage(stderr);
		return 2;
	}
	/* Lines of this process and of those it starts stay in order. */
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (!demo.file)
		demo.file = default_file(buf, sizeof(buf));
	if (!pass)
		return run_all(demo.file);
	demo.xnack = !strcmp(pass, "on");
	return run_pass(&demo, exception);
}
