// SPDX-License-Identifier: MIT
/* kfdsvm run: start a program with libkfdsvm-preload.so. What that does is in ../preload. */
#define _GNU_SOURCE
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <kfdsvm.h>

#include "command.h"

#ifndef KFDSVM_PRELOAD_FILE
#define KFDSVM_PRELOAD_FILE "/usr/local/lib/kfdsvm/libkfdsvm-preload.so"
#endif

#define PATH_LEN 4096

static void usage(FILE *to)
{
	fputs("usage: kfdsvm run [OPTION]... [--] PROGRAM [ARGUMENT]...\n\n"
	      "Run a program that knows nothing of SVM so that its GPUs can use all of its\n"
	      "memory, on GPUs without XNACK, too.\n\n"
	      "  -m, --max-resident=SIZE  register nothing that would make the program's resident\n"
	      "                           memory larger (default: 3/4 of the memory)\n"
	      "  -s, --stack=SIZE         how far down the main stack can be used (default 8M)\n"
	      "  -p, --prefer=gpu|system|ID  preferred location of memory\n"
	      "  -g, --granularity=SIZE   how much moves together on a fault, a power of two\n"
	      "  -r, --report[=FILE]      tell at exit what was done (default: on stderr)\n"
	      "  -n, --no-follow          leave out programs that the program starts\n"
	      "  -h, --help               this text\n"
	      "  -V, --version            the version\n\n"
	      "SIZE is in bytes, or with K, M, G, T. kfdsvm-run(1) says what is registered and\n"
	      "when, and what is not.\n\n"
	      "exit status: that of the program; 125 kfdsvm fails or bad usage, 126 the program\n"
	      "cannot be run or would not load the library, 127 it is not found\n", to);
}

static int fail(int code, const char *what, const char *about)
{
	fprintf(stderr, "kfdsvm run: %s: %s\n", what, about);
	return code;
}

/* "64M" to bytes. */
static bool size_of(const char *text, uint64_t *len)
{
	static const char units[] = "KMGT";
	const char *unit;
	unsigned int shift = 0;
	char *end;

	if (*text < '0' || *text > '9')
		return false;
	errno = 0;
	*len = strtoull(text, &end, 10);
	if (errno)
		return false;
	if (*end) {
		/* A blank would be the end of the string in upper case. */
		unit = *end == ' ' ? NULL : strchr(units, *end & ~0x20);
		if (!unit || end[1])
			return false;
		shift = 10 * (unsigned int)(unit - units + 1);
	}
	if (*len > UINT64_MAX >> shift)
		return false;
	*len <<= shift;
	return true;
}

static bool put_number(const char *name, uint64_t value)
{
	char text[24];

	snprintf(text, sizeof(text), "%llu", (unsigned long long)value);
	return !setenv(name, text, 1);
}

static bool put_size(const char *name, const char *text)
{
	uint64_t len;

	return size_of(text, &len) && len && put_number(name, len);
}

/* The kernel counts in powers of two of pages. */
static bool put_granularity(const char *text)
{
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE), len;

	if (!size_of(text, &len) || len < page || len & (len - 1))
		return false;
	return put_number("KFDSVM_RUN_GRANULARITY", (uint64_t)__builtin_ctzll(len / page));
}

static bool put_preferred(const char *text)
{
	char *end;
	unsigned long id;

	if (!strcmp(text, "gpu"))
		return !setenv("KFDSVM_RUN_PREFER", "gpu", 1);
	if (!strcmp(text, "system"))
		return put_number("KFDSVM_RUN_PREFER", 0);
	id = strtoul(text, &end, 10);
	if (*text < '1' || *text > '9' || *end || id >= UINT32_MAX)
		return false;
	return put_number("KFDSVM_RUN_PREFER", id);
}

/* A relative name would mean something else to a program that changes its folder. */
static bool put_report(const char *file)
{
	char *folder, *path = NULL;
	bool good;

	if (!file)
		return !setenv("KFDSVM_RUN_REPORT", "-", 1);
	if (*file == '/')
		return !setenv("KFDSVM_RUN_REPORT", file, 1);
	folder = *file ? getcwd(NULL, 0) : NULL;
	good = folder && asprintf(&path, "%s/%s", folder, file) > 0 &&
	       !setenv("KFDSVM_RUN_REPORT", path, 1);
	free(path);
	free(folder);
	return good;
}

static bool take_option(int opt)
{
	switch (opt) {
	case 'm':
		return put_size("KFDSVM_RUN_MAX_RESIDENT", optarg);
	case 's':
		return put_size("KFDSVM_RUN_STACK", optarg);
	case 'p':
		return put_preferred(optarg);
	case 'g':
		return put_granularity(optarg);
	case 'r':
		return put_report(optarg);
	case 'n':
		return !setenv("KFDSVM_RUN_FOLLOW", "0", 1);
	}
	return false;
}

/* What an outer `kfdsvm run` has set is not ours. */
static void clear_options(void)
{
	unsetenv("KFDSVM_RUN_MAX_RESIDENT");
	unsetenv("KFDSVM_RUN_STACK");
	unsetenv("KFDSVM_RUN_PREFER");
	unsetenv("KFDSVM_RUN_GRANULARITY");
	unsetenv("KFDSVM_RUN_REPORT");
	unsetenv("KFDSVM_RUN_FOLLOW");
}

/* The file that execvp() would run, in @path. */
static bool find_program(const char *name, char *path, size_t len)
{
	const char *list = getenv("PATH"), *end;

	if (strchr(name, '/')) {
		snprintf(path, len, "%s", name);
		return true;
	}
	for (list = list ? list : "/bin:/usr/bin"; *list; list = *end ? end + 1 : end) {
		end = strchrnul(list, ':');
		snprintf(path, len, "%.*s%s%s", (int)(end - list), list, end > list ? "/" : "", name);
		if (!access(path, X_OK))
			return true;
	}
	return false;
}

static bool has_interpreter(int fd)
{
	Elf64_Ehdr head;
	Elf64_Phdr ph;

	if (pread(fd, &head, sizeof(head), 0) != (ssize_t)sizeof(head) ||
	    memcmp(head.e_ident, ELFMAG, SELFMAG) || head.e_ident[EI_CLASS] != ELFCLASS64)
		return true;	/* a script, or nothing we know of: let exec say */
	for (unsigned int i = 0; i < head.e_phnum; i++)
		if (pread(fd, &ph, sizeof(ph), (off_t)(head.e_phoff + i * sizeof(ph))) ==
		    (ssize_t)sizeof(ph) && ph.p_type == PT_INTERP)
			return true;
	return false;
}

/* Why the dynamic linker would not load the library into this program, or NULL. */
static const char *preload_is_ignored(const char *path)
{
	const char *why = NULL;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;

	if (fd < 0)
		return NULL;
	if (!fstat(fd, &st) && ((st.st_mode & S_ISUID && st.st_uid != geteuid()) ||
			       (st.st_mode & S_ISGID && st.st_gid != getegid())))
		why = "is set-user-ID or set-group-ID, so the library would be ignored";
	else if (fgetxattr(fd, "security.capability", NULL, 0) > 0 && geteuid() != 0)
		why = "has file capabilities, so the library would be ignored";
	else if (!has_interpreter(fd))
		why = "is linked statically, so the library would be ignored";
	close(fd);
	return why;
}

static bool add_preload(const char *library)
{
	const char *others = getenv("LD_PRELOAD");
	char *list;
	bool good;

	if (!others || !*others)
		return !setenv("LD_PRELOAD", library, 1);
	if (strstr(others, library))
		return true;
	/* First, so that it sees the calls of the others. */
	if (asprintf(&list, "%s:%s", library, others) < 0)
		return false;
	good = !setenv("LD_PRELOAD", list, 1);
	free(list);
	return good;
}

/* The exit code if there is nothing to run, else -1. */
static int take_options(int argc, char **argv)
{
	static const struct option long_options[] = {
		{ "max-resident", required_argument, NULL, 'm' },
		{ "stack", required_argument, NULL, 's' },
		{ "prefer", required_argument, NULL, 'p' },
		{ "granularity", required_argument, NULL, 'g' },
		{ "report", optional_argument, NULL, 'r' },
		{ "no-follow", no_argument, NULL, 'n' },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },
		{ 0 },
	};
	int opt;

	while ((opt = getopt_long(argc, argv, "+m:s:p:g:r::nhV", long_options, NULL)) != -1) {
		if (opt == 'h' || opt == 'V' || opt == '?')
			return command_option(opt, usage, EXIT_SELF);
		if (take_option(opt))
			continue;
		fprintf(stderr, "kfdsvm run: -%c %s: not understood\n", opt, optarg ? optarg : "");
		return EXIT_SELF;
	}
	if (optind < argc)
		return -1;
	usage(stderr);
	return EXIT_SELF;
}

int command_run(int argc, char **argv)
{
	const char *library = getenv("KFDSVM_PRELOAD"), *why;
	char path[PATH_LEN];
	int ret, error;

	clear_options();
	ret = take_options(argc, argv);
	if (ret >= 0)
		return ret;
	if (!library || !*library)
		library = KFDSVM_PRELOAD_FILE;
	if (access(library, R_OK))
		return fail(EXIT_SELF, library, strerror(errno));
	if (strpbrk(library, ": "))
		return fail(EXIT_SELF, library, "the dynamic linker takes no such name");
	if (!find_program(argv[optind], path, sizeof(path)))
		return fail(EXIT_NOT_FOUND, argv[optind], strerror(ENOENT));
	why = preload_is_ignored(path);
	if (why)
		return fail(EXIT_NOT_RUN, path, why);
	if (!add_preload(library) || !put_number("KFDSVM_RUN_PID", (uint64_t)getpid()))
		return fail(EXIT_SELF, "LD_PRELOAD", "cannot be set");
	execv(path, argv + optind);
	error = errno;
	return fail(error == ENOENT ? EXIT_NOT_FOUND : EXIT_NOT_RUN, path, strerror(error));
}
