// SPDX-License-Identifier: GPL-2.0-only
/*
 * Every allocation below a call of the mirror fails in turn (/proc/self/fail-nth, debug
 * kernel) until the call gets through. A sweep that injects nothing fails.
 *
 * Where the failures hit is read from a probe at the end of should_fail_ex(), with the
 * kernel's stack: the frames from the mirror's function up.
 */
#include <ctype.h>
#include <fcntl.h>

#include "hmt.h"

#define MAX_NTH	300
#define TRACEFS	"/sys/kernel/tracing/"
#define PROBE	"events/kprobes/hmt_fail"
#define MAX_SITES 64

static int nth_fd = -1;
static bool traced;

/* fail-nth acts on what the two injectors would do, and they skip our flags. */
static void arm_injection(void)
{
	static const char *const dirs[] = { "failslab", "fail_page_alloc" };
	char path[96];

	for (size_t i = 0; i < HMT_COUNT(dirs); i++) {
		snprintf(path, sizeof(path), "/sys/kernel/debug/%s/ignore-gfp-wait", dirs[i]);
		if (hmt_write_file(path, "N"))
			hmt_skip("no %s (needs the debug kernel)", path);
		snprintf(path, sizeof(path), "/sys/kernel/debug/%s/verbose", dirs[i]);
		hmt_write_file(path, "0");
	}
	/* Copies fail too; their reports would look like crashes. */
	hmt_write_file("/sys/kernel/debug/fail_usercopy/verbose", "0");
	hmt_write_file("/sys/kernel/debug/fail_page_alloc/ignore-gfp-highmem", "N");
	hmt_write_file("/sys/kernel/debug/fail_page_alloc/min-order", "0");
	nth_fd = open("/proc/self/fail-nth", O_RDWR | O_CLOEXEC);
	if (nth_fd < 0)
		hmt_skip("no /proc/self/fail-nth (needs the debug kernel)");
}

static void trace_on(void)
{
	/* Left from a case before. */
	hmt_write_file(TRACEFS PROBE "/enable", "0");
	hmt_write_file(TRACEFS PROBE "/trigger", "!stacktrace if ret == 1");
	hmt_write_file(TRACEFS "kprobe_events", "-:hmt_fail");
	if (hmt_write_file(TRACEFS "kprobe_events", "r:hmt_fail should_fail_ex ret=$retval:u8") ||
	    hmt_write_file(TRACEFS PROBE "/filter", "ret == 1") ||
	    hmt_write_file(TRACEFS PROBE "/trigger", "stacktrace if ret == 1") ||
	    hmt_write_file(TRACEFS PROBE "/enable", "1")) {
		hmt_note("sites are told by number only: no kprobe events");
		return;
	}
	hmt_write_file(TRACEFS "tracing_on", "1");
	traced = true;
}

static void trace_off(void)
{
	if (!traced)
		return;
	hmt_write_file(TRACEFS PROBE "/enable", "0");
	hmt_write_file(TRACEFS PROBE "/trigger", "!stacktrace if ret == 1");
	hmt_write_file(TRACEFS "kprobe_events", "-:hmt_fail");
}

static void fail_nth(unsigned int n)
{
	char text[16];
	int len = snprintf(text, sizeof(text), "%u", n);

	/* What is still armed may hit this very write; then it is disarmed. */
	if (pwrite(nth_fd, text, (size_t)len, 0) != len)
		hmt_expect(pwrite(nth_fd, text, (size_t)len, 0), len);
}

/* Whether the failure was used up; also ends the injection. */
static bool injected(void)
{
	char text[16] = "";

	/* The injection also counts copies to user space, as the one of this read. */
	if (pread(nth_fd, text, sizeof(text) - 1, 0) <= 0) {
		hmt_expect(errno, EFAULT);
		fail_nth(0);
		return false;
	}
	fail_nth(0);
	return atoi(text) == 0;
}

/* ---- where ---- */

static char sites[MAX_SITES][400];
static size_t nsites;

static bool is_frame_of_interest(const char *name)
{
	static const char *const dull[] = {
		"should_fail", "arch_rethook", "kretprobe", "rethook", "[unknown", "__kmalloc",
		"kmem_cache_alloc", "__kmem_cache", "__alloc", "alloc_pages", "should_failslab",
		"trace_", "0x",
	};

	for (size_t i = 0; i < HMT_COUNT(dull); i++) {
		if (!strncmp(name, dull[i], strlen(dull[i])))
			return false;
	}
	return true;
}

static bool is_end_of_stack(const char *name)
{
	return !strncmp(name, "test_ioctl", 10) || strstr(name, "sys_ioctl") ||
	       !strncmp(name, "do_syscall", 10);
}

/*
 * The stack of the last failure, innermost first, as "a < b < c". Returns whether it was
 * below the mirror; without stacks it counts as that.
 */
static bool note_site(const char *what, unsigned int nth, long ret)
{
	char line[512], site[400] = "", name[128];
	bool in_stack = false;
	FILE *f;

	if (!traced) {
		hmt_note("%s: allocation %u: %ld", what, nth, ret);
		return true;
	}
	f = fopen(TRACEFS "trace", "re");
	hmt_check(f);
	while (fgets(line, sizeof(line), f)) {
		if (strstr(line, "<stack trace>")) {
			in_stack = true;
			site[0] = 0;
		} else if (in_stack && sscanf(line, " => %127s", name) == 1) {
			if (is_end_of_stack(name)) {
				in_stack = false;
			} else if (is_frame_of_interest(name) &&
				   strlen(site) + strlen(name) + 4 < sizeof(site)) {
				if (site[0])
					strcat(site, " < ");
				strcat(site, name);
			}
		}
	}
	fclose(f);
	hmt_empty_file(TRACEFS "trace");
	for (size_t i = 0; i < nsites; i++) {
		if (!strcmp(sites[i], site))
			return strstr(site, "hmm_mirror_");
	}
	if (nsites < MAX_SITES)
		strcpy(sites[nsites++], site);
	hmt_note("%s: %s: %ld", what, site[0] ? site : "(no stack)", ret);
	return strstr(site, "hmm_mirror_");
}

/* ---- sweeps ---- */

static struct hmt_result r;

/* One call under injection, on things of its own for each try. */
struct sweep {
	const char *name;
	void (*prepare)(struct sweep *s);
	long (*call)(struct sweep *s);
	void (*check)(struct sweep *s, long ret);
	int fd;
	char *p;
	size_t len;
	bool may_allocate_nothing;
};

static void run_sweep(struct sweep *s)
{
	unsigned int nth, hits = 0, failures = 0, in_mirror = 0;
	bool hit = true;

	for (nth = 1; nth < MAX_NTH && hit; nth++) {
		long ret;

		s->prepare(s);
		hmt_empty_file(TRACEFS "trace");
		/* Present, so that no page fault of our own is counted. */
		memset(&r, 0, sizeof(r));
		fail_nth(nth);
		ret = s->call(s);
		hit = injected();
		hits += hit;
		failures += ret == -ENOMEM;
		if (ret)
			hmt_check_that(hit && (ret == -ENOMEM || ret == -EFAULT),
				       "%s: allocation %u: %ld", s->name, nth, ret);
		if (hit)
			in_mirror += note_site(s->name, nth, ret);
		s->check(s, ret);
		/* Nothing is left behind: the same call gets through. */
		if (ret)
			hmt_ok(s->call(s));
		s->check(s, 0);
		hmt_close(s->fd);
		munmap(s->p, s->len);
	}
	hmt_note("%s: %u failures injected, %u below the mirror, %u of all are ENOMEM",
		 s->name, hits, in_mirror, failures);
	hmt_check_that(!hit, "%s: more than %d allocations", s->name, MAX_NTH);
	hmt_check_that(in_mirror || s->may_allocate_nothing, "%s: nothing was injected",
		       s->name);
}

static void begin(void)
{
	arm_injection();
	trace_on();
}

static void check_nothing(struct sweep *s, long ret)
{
	(void)s;
	(void)ret;
}

static void prepare_open(struct sweep *s)
{
	s->len = 16 * HMT_PAGE;
	s->p = hmt_map(s->len);
	s->fd = hmt_open();
}

static long call_register(struct sweep *s)
{
	return hmt_register(s->fd, 0);
}

static void check_registered(struct sweep *s, long ret)
{
	hmt_expect(hmt_stats(s->fd).registered, !ret);
}

static void prepare_registered(struct sweep *s)
{
	prepare_open(s);
	hmt_ok(hmt_register(s->fd, 0));
}

static long call_watch(struct sweep *s)
{
	/* Three regions, so that some are there when one fails. */
	return hmt_watch(s->fd, (void *)0x300000000000, 3ul << 30);
}

static long call_range_add(struct sweep *s)
{
	return hmt_range_add(s->fd, 1, s->p, s->len);
}

static void check_range_add(struct sweep *s, long ret)
{
	hmt_expect(hmt_stats(s->fd).nr_ranges, !ret);
}

static void prepare_range(struct sweep *s)
{
	prepare_registered(s);
	for (size_t i = 0; i < s->len; i += 3 * HMT_PAGE)
		s->p[i] = 1;
	hmt_ok(hmt_range_add(s->fd, 1, s->p, s->len));
}

/* No page table, and no memory: all that a fault can allocate. */
static void prepare_range_of_nothing(struct sweep *s)
{
	prepare_open(s);
	munmap(s->p, s->len);
	s->len = 4 * HMT_PAGE;
	s->p = mmap((void *)0x310000000000, s->len, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	hmt_check(s->p != MAP_FAILED);
	hmt_ok(hmt_register(s->fd, 0));
	hmt_ok(hmt_range_add(s->fd, 1, s->p, s->len));
}

static long call_get(struct sweep *s, uint32_t flags, uint32_t req)
{
	r.get = (struct hmt_get) {
		.range = 1, .flags = flags, .default_req = req, .nr_max = 64,
		.next_va = (uintptr_t)s->p,
	};
	return hmt_get(s->fd, &r);
}

static long call_snapshot(struct sweep *s)
{
	return call_get(s, HMT_GET_SNAPSHOT, 0);
}

static long call_fault_read(struct sweep *s)
{
	return call_get(s, 0, HMT_REQ_READ);
}

static long call_fault_write(struct sweep *s)
{
	return call_get(s, 0, HMT_REQ_WRITE);
}

static long call_map_in_device(struct sweep *s)
{
	return call_get(s, HMT_GET_COMMIT, HMT_REQ_WRITE);
}

/* A call that succeeds has no holes of its own making, and no errors. */
static void check_fault(struct sweep *s, long ret)
{
	bool moved = r.get.next_va != (uintptr_t)s->p;

	/* The results may also be lost on their way out, when all is done. */
	if (ret) {
		hmt_expect(!!r.get.nr, moved);
		return;
	}
	hmt_check(r.get.nr && moved);
	for (uint32_t i = 0; i < r.get.nr; i++)
		hmt_check_that(hmt_ext_flags(&r.ext[i]) & HMT_EXT_VALID,
			       "extent %u: flags %x errno %d", i, hmt_ext_flags(&r.ext[i]),
			       (int)hmt_ext_pfn(&r.ext[i]));
}

static void check_snapshot(struct sweep *s, long ret)
{
	if (!ret)
		hmt_check(r.get.nr && r.get.next_va == (uintptr_t)s->p + s->len);
}

static void check_device(struct sweep *s, long ret)
{
	hmt_expect(hmt_stats(s->fd).nr_unseen, 0);
	if (!ret)
		hmt_check(hmt_device_nr_pages(s->fd));
}

static struct sweep sweeps[] = {
	{ .name = "register", .prepare = prepare_open, .call = call_register,
	  .check = check_registered },
	{ .name = "watch", .prepare = prepare_registered, .call = call_watch,
	  .check = check_nothing },
	{ .name = "range_add", .prepare = prepare_registered, .call = call_range_add,
	  .check = check_range_add },
	{ .name = "snapshot", .prepare = prepare_range, .call = call_snapshot,
	  .check = check_snapshot, .may_allocate_nothing = true },
	/* The zero page, found without any memory by the extent walk. */
	{ .name = "fault_read", .prepare = prepare_range, .call = call_fault_read,
	  .check = check_fault, .may_allocate_nothing = true },
	{ .name = "fault_write", .prepare = prepare_range, .call = call_fault_write,
	  .check = check_fault },
	{ .name = "fault_first_touch", .prepare = prepare_range_of_nothing,
	  .call = call_fault_write, .check = check_fault },
	{ .name = "map_in_device", .prepare = prepare_range, .call = call_map_in_device,
	  .check = check_device },
};

static void every_allocation_fails(const void *arg)
{
	struct sweep s = *(const struct sweep *)arg;

	begin();
	run_sweep(&s);
	trace_off();
}

#define SWEEP(i, suffix) \
	{ .name = "every_allocation_fails_" #suffix, .fn = every_allocation_fails, \
	  .arg = &sweeps[i], .flags = HMT_INJECT, .timeout_s = 240 }

static const struct hmt_case inject_cases[] = {
	SWEEP(0, register),
	SWEEP(1, watch),
	SWEEP(2, range_add),
	SWEEP(3, snapshot),
	SWEEP(4, fault_read),
	SWEEP(5, fault_write),
	SWEEP(6, fault_first_touch),
	SWEEP(7, map_in_device),
};

HMT_GROUP(inject_cases);
