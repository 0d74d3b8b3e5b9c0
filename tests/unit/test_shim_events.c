// SPDX-License-Identifier: MIT
/* Events: every kind of line, any other text, and a descriptor that polls. */
#include "shim_fake.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define GPU1 0x1234u
#define GPU2 0x5678u
#define ENTRY sizeof(struct kfdsvm_event)

static struct fake fake;
static struct kfdsvm *h;
static struct kfdsvm_events *ev;

static int setup(void **state)
{
	(void)state;
	fake_init(&fake);
	fake_add_gpu(&fake, GPU2, 90000);
	h = fake_open(&fake);
	ev = NULL;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	kfdsvm_events_close(ev);
	kfdsvm_close(h);
	for (unsigned int i = 0; i < fake.ngpus; i++)
		if (fake.gpus[i].smi)
			close(fake.gpus[i].smi);
	assert_int_equal(fake.open_files, 0);
	return 0;
}

static void listen_to_all(void)
{
	assert_int_equal(kfdsvm_events_open(&ev, h, NULL), 0);
	assert_non_null(ev);
}

static bool readable(void)
{
	struct pollfd pfd = { .fd = kfdsvm_events_fd(ev), .events = POLLIN };

	return poll(&pfd, 1, 0) == 1 && pfd.revents & POLLIN;
}

static void lines_become_records(void **state)
{
	static const struct {
		const char *line;
		struct kfdsvm_event event;
	} cases[] = {
		{ "1 2a:a name: with (all)", { .kind = 1, .pid = 42, .comm = "a name: with (a" } },
		{ "1 7fffffff:", { .kind = 1, .pid = 0x7fffffff } },
		{ "5 123456789012 -77 @7f00(200) 0->1234 ffffffff:5678 1\n",
		  { .kind = 5, .time_ns = 123456789012, .pid = 77, .addr = 0x7f00000,
		    .len = 0x200000, .from = 0, .to = GPU1, .prefetch = 0xffffffff,
		    .preferred = GPU2, .trigger = 1 } },
		{ "6 9 -77 @7f00(200) 1234->0 2",
		  { .kind = 6, .time_ns = 9, .pid = 77, .addr = 0x7f00000, .len = 0x200000,
		    .from = GPU1, .trigger = 2 } },
		{ "6 9 -77 @7f00(200) 1234->0 2 -12",
		  { .kind = 6, .time_ns = 9, .pid = 77, .addr = 0x7f00000, .len = 0x200000,
		    .from = GPU1, .trigger = 2, .error = -12, .flags = 8 } },
		{ "6 9 -77 @7f00(200) 1234->0 2 0 and what comes one day",
		  { .kind = 6, .time_ns = 9, .pid = 77, .addr = 0x7f00000, .len = 0x200000,
		    .from = GPU1, .trigger = 2, .flags = 8 } },
		{ "7 1 -2 @abc(1234) W", { .kind = 7, .time_ns = 1, .pid = 2, .addr = 0xabc000,
					   .gpu_id = GPU1, .flags = 1 } },
		{ "7 1 -2 @abc(1234) R", { .kind = 7, .time_ns = 1, .pid = 2, .addr = 0xabc000,
					   .gpu_id = GPU1 } },
		{ "8 1 -2 @abc(1234) M", { .kind = 8, .time_ns = 1, .pid = 2, .addr = 0xabc000,
					   .gpu_id = GPU1, .flags = 2 } },
		{ "8 1 -2 @abc(1234) U", { .kind = 8, .time_ns = 1, .pid = 2, .addr = 0xabc000,
					   .gpu_id = GPU1 } },
		{ "9 3 -4 5678 2", { .kind = 9, .time_ns = 3, .pid = 4, .gpu_id = GPU2,
				     .trigger = 2 } },
		{ "a 3 -4 5678 0", { .kind = 10, .time_ns = 3, .pid = 4, .gpu_id = GPU2 } },
		{ "A 3 -4 5678 R", { .kind = 10, .time_ns = 3, .pid = 4, .gpu_id = GPU2,
				     .flags = 4 } },
		{ "b 3 -4 @1(2) 5678 1", { .kind = 11, .time_ns = 3, .pid = 4, .addr = 0x1000,
					   .len = 0x2000, .gpu_id = GPU2, .trigger = 1 } },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct kfdsvm_event event;
		size_t len = strlen(cases[i].line);

		memset(&event, 0xff, sizeof(event));
		if (kfdsvm_parse_event(cases[i].line, len, 4096, &event))
			fail_msg("refused: %s", cases[i].line);
		if (memcmp(&event, &cases[i].event, sizeof(event)))
			fail_msg("taken wrongly: %s", cases[i].line);
		/* Units are the machine's pages. */
		assert_int_equal(kfdsvm_parse_event(cases[i].line, len, 65536, &event), 0);
		assert_int_equal(event.addr, cases[i].event.addr * 16);
		assert_int_equal(event.len, cases[i].event.len * 16);
	}
}

static void other_text_is_no_event(void **state)
{
	static const char *const lines[] = {
		"", "\n", " ", "5", "5 ", "1 2a", "1 :x", "1 80000000:x", "1 -1:x", "c 1 -2 x",
		"2 1:2", "100000005 1 -2 @1(2) 0->1 0:0 0", "0x5 1 -2 @1(2) 0->1 0:0 0",
		"-5 1 -2 @1(2) 0->1 0:0 0", "5  1 -2 @1(2) 0->1 0:0 0", "5 1 2 @1(2) 0->1 0:0 0",
		"5 18446744073709551616 -2 @1(2) 0->1 0:0 0", "5 1 -2147483648 @1(2) 0->1 0:0 0",
		"5 1 -2 @1(2) 0->1 0:0", "5 1 -2 @1(2) 0->1 0:0 ", "5 1 -2 @1(2) 0->1 0:0 0x",
		"5 1 -2 @10000000000000(2) 0->1 0:0 0", "5 1 -2 @fffffffffffff(2) 0->1 0:0 0",
		"5 1 -2 @1(2) 0->100000000 0:0 0", "5 1 -2 @(2) 0->1 0:0 0",
		"5 1 -2 @1() 0->1 0:0 0", "6 1 -2 @1(2) 0->1 0 ", "6 1 -2 @1(2) 0->1 0 --1",
		"6 1 -2 @1(2) 0->1 0 -", "6 1 -2 @1(2) 0->1 0 2147483648", "7 1 -2 @1(2) X",
		"7 1 -2 @1(2) w", "7 1 -2 @1(2) WW", "7 1 -2 @1(2)", "8 1 -2 @1(2) R", "9 1 -2 5",
		"9 1 -2 g 0", "a 1 -2 5 1", "a 1 -2 5", "b 1 -2 @1(2) 5", "b 1 -2 @1 5 0",
	};
	struct kfdsvm_event event;

	(void)state;
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		if (kfdsvm_parse_event(lines[i], strlen(lines[i]), 4096, &event) != -EBADMSG)
			fail_msg("taken: '%s'", lines[i]);
	assert_int_equal(kfdsvm_event_parse(NULL, 1, &event, ENTRY), -EINVAL);
	assert_int_equal(kfdsvm_event_parse("x", 1, NULL, ENTRY), -EINVAL);
	assert_int_equal(kfdsvm_event_parse("x", 1, &event, 0), -EINVAL);
	assert_int_equal(kfdsvm_event_parse("x", 0, &event, ENTRY), -EBADMSG);
	assert_int_equal(kfdsvm_event_parse("7 1 -2 @0(1) R more", 19, &event, ENTRY), 0);
	/* Not a byte past its length, not even a digit that would fit. */
	assert_int_equal(kfdsvm_event_parse("9 1 -2 5 1234", 10, &event, ENTRY), 0);
	assert_int_equal(event.trigger, 1);
}

static void what_a_line_says_arrives(void **state)
{
	struct kfdsvm_event list[4];
	unsigned int first, last;

	(void)state;
	listen_to_all();
	assert_false(readable());
	assert_int_equal(kfdsvm_events_read(ev, list, 4, ENTRY), 0);
	fake_tell(&fake, 0, "7 1 -2 @abc(1234) W\n8 2 -2 @abc(1234) M\n");
	fake_tell(&fake, 1, "1 2a:prog\n");
	assert_true(readable());
	assert_int_equal(kfdsvm_events_read(ev, list, 4, ENTRY), 3);
	/* Which GPU comes first is open. */
	first = list[0].kind == KFDSVM_EVENT_VM_FAULT;
	assert_int_equal(list[first].kind, KFDSVM_EVENT_FAULT_START);
	assert_int_equal(list[first + 1].kind, KFDSVM_EVENT_FAULT_END);
	last = first ? 0 : 2;
	assert_int_equal(list[last].kind, KFDSVM_EVENT_VM_FAULT);
	/* The line does not say which GPU. */
	assert_int_equal(list[last].gpu_id, GPU2);
	assert_string_equal(list[last].comm, "prog");
	assert_false(readable());
	assert_int_equal(kfdsvm_events_skipped(ev), 0);
}

static void cut_lines_are_put_together(void **state)
{
	const char *line = "5 1 -2 @10(20) 0->1234 0:0 1\n";
	struct kfdsvm_event event;
	char one[2] = "";

	(void)state;
	listen_to_all();
	for (const char *p = line; *p; p++) {
		one[0] = *p;
		fake_tell(&fake, 0, one);
		assert_int_equal(kfdsvm_events_read(ev, &event, 1, ENTRY), *p == '\n');
	}
	assert_int_equal(event.kind, KFDSVM_EVENT_MIGRATE_START);
	assert_int_equal(event.to, GPU1);
}

static void what_has_no_room_waits_and_polls(void **state)
{
	struct kfdsvm_event event;
	char line[64];

	(void)state;
	listen_to_all();
	for (unsigned int i = 0; i < 20; i++) {
		snprintf(line, sizeof(line), "9 %u -2 1234 0\n", i);
		fake_tell(&fake, 0, line);
	}
	for (unsigned int i = 0; i < 20; i++) {
		assert_true(readable());
		assert_int_equal(kfdsvm_events_read(ev, &event, 1, ENTRY), 1);
		assert_int_equal(event.time_ns, i);
	}
	assert_false(readable());
	assert_int_equal(kfdsvm_events_read(ev, &event, 1, ENTRY), 0);
}

static void bad_lines_are_counted_and_passed_over(void **state)
{
	struct kfdsvm_event list[4];
	char text[6001];

	(void)state;
	listen_to_all();
	fake_tell(&fake, 0, "what is this\n9 1 -2 1234 0\n\n9 2 -2 1234 0\n");
	assert_int_equal(kfdsvm_events_read(ev, list, 4, ENTRY), 2);
	assert_int_equal(kfdsvm_events_skipped(ev), 2);
	/* Longer than any buffer. */
	memset(text, '9', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	fake_tell(&fake, 0, text);
	assert_int_equal(kfdsvm_events_read(ev, list, 4, ENTRY), 0);
	fake_tell(&fake, 0, " 9 3 -2 1234 0\n9 4 -2 1234 0\n");
	assert_int_equal(kfdsvm_events_read(ev, list, 4, ENTRY), 1);
	assert_int_equal(list[0].time_ns, 4);
	assert_int_equal(kfdsvm_events_skipped(ev), 3);
}

static void a_move_between_gpus_is_told_once(void **state)
{
	const char *line = "5 1 -2 @10(20) 1234->5678 0:0 1\n";
	const uint32_t first[] = { GPU1 };
	struct kfdsvm_events_options options = {
		.size = sizeof(options), .gpus = first, .ngpus = 1,
	};
	struct kfdsvm_event list[4];

	(void)state;
	listen_to_all();
	fake_tell(&fake, 0, line);
	fake_tell(&fake, 1, line);
	assert_int_equal(kfdsvm_events_read(ev, list, 4, ENTRY), 1);
	assert_int_equal(list[0].gpu_id, GPU2);
	kfdsvm_events_close(ev);
	/* Who listens to one only, hears it there. */
	assert_int_equal(kfdsvm_events_open(&ev, h, &options), 0);
	fake_tell(&fake, 0, line);
	assert_int_equal(kfdsvm_events_read(ev, list, 4, ENTRY), 1);
	assert_int_equal(list[0].gpu_id, GPU1);
}

static int count_fds(void)
{
	int n = 0;

	for (int fd = 0; fd < 256; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

static uint64_t mask_of(unsigned int gpu)
{
	uint64_t mask = 0;

	assert_int_equal(read(fake.gpus[gpu].smi, &mask, sizeof(mask)), sizeof(mask));
	return mask;
}

/* The driver's end is closed, with nothing unread: that would be an error to a socket. */
static void unplug(unsigned int gpu)
{
	mask_of(gpu);
	close(fake.gpus[gpu].smi);
	fake.gpus[gpu].smi = 0;
}

/* Told once, after what the GPU still said; nobody spins on the descriptor then. */
static void a_gpu_that_is_gone_is_told_once(void **state)
{
	struct kfdsvm_event list[4];
	int before;

	(void)state;
	listen_to_all();
	before = count_fds();
	fake_tell(&fake, 0, "9 1 -2 1234 0\n9 2 -2 1234 0\nno en");
	unplug(0);
	for (unsigned int i = 0; i < 2; i++) {
		assert_true(readable());
		assert_int_equal(kfdsvm_events_read(ev, list, 1, ENTRY), 1);
	}
	assert_true(readable());
	assert_int_equal(kfdsvm_events_read(ev, list, 4, ENTRY), -ENODEV);
	assert_false(readable());
	assert_int_equal(kfdsvm_events_read(ev, list, 4, ENTRY), 0);
	assert_int_equal(count_fds(), before - 2);
	/* The other is heard. */
	fake_tell(&fake, 1, "9 3 -2 5678 0\n");
	assert_true(readable());
	assert_int_equal(kfdsvm_events_read(ev, list, 4, ENTRY), 1);
	assert_int_equal(list[0].gpu_id, GPU2);
	assert_false(readable());
	/* In the read that finds it out there are events of another. */
	fake_tell(&fake, 1, "9 4 -2 5678 0\n");
	unplug(1);
	assert_int_equal(kfdsvm_events_read(ev, list, 4, ENTRY), 1);
	assert_true(readable());
	assert_int_equal(kfdsvm_events_read(ev, list, 4, ENTRY), -ENODEV);
	assert_false(readable());
	assert_int_equal(kfdsvm_events_read(ev, list, 4, ENTRY), 0);
}

static void options_choose(void **state)
{
	const uint32_t both[] = { GPU2, GPU1 }, twice[] = { GPU1, GPU1 }, other[] = { 1 };
	struct kfdsvm_events_options options = { .size = sizeof(options) };

	(void)state;
	listen_to_all();
	assert_int_equal(mask_of(0), 0x7f1);
	assert_int_equal(mask_of(1), 0x7f1);
	assert_true(fcntl(kfdsvm_events_fd(ev), F_GETFD) & FD_CLOEXEC);
	kfdsvm_events_close(ev);
	options.kinds = KFDSVM_EVENT_BIT(KFDSVM_EVENT_EVICTION);
	options.flags = KFDSVM_EVENTS_ALL_PROCESSES;
	options.gpus = both;
	options.ngpus = 2;
	assert_int_equal(kfdsvm_events_open(&ev, h, &options), 0);
	assert_true(mask_of(0) == (1ull << 63 | 0x100));
	kfdsvm_events_close(ev);
	ev = NULL;

	options.kinds = 2;
	assert_int_equal(kfdsvm_events_open(&ev, h, &options), -EINVAL);
	options.kinds = 0;
	options.flags = 2;
	assert_int_equal(kfdsvm_events_open(&ev, h, &options), -EINVAL);
	options.flags = 0;
	options.gpus = twice;
	assert_int_equal(kfdsvm_events_open(&ev, h, &options), -EINVAL);
	options.gpus = other;
	options.ngpus = 1;
	assert_int_equal(kfdsvm_events_open(&ev, h, &options), -EINVAL);
	options.gpus = NULL;
	assert_int_equal(kfdsvm_events_open(&ev, h, &options), -EINVAL);
	assert_null(ev);
	assert_int_equal(kfdsvm_events_open(NULL, h, NULL), -EINVAL);
	assert_int_equal(kfdsvm_events_open(&ev, NULL, NULL), -EINVAL);
}

static void failures_leave_nothing_open(void **state)
{
	int before = count_fds();

	(void)state;
	fake.gpus[1].smi_error = -ENOTTY;
	assert_int_equal(kfdsvm_events_open(&ev, h, NULL), -EOPNOTSUPP);
	fake.gpus[1].smi_error = -EMFILE;
	assert_int_equal(kfdsvm_events_open(&ev, h, NULL), -EMFILE);
	assert_null(ev);
	close(fake.gpus[0].smi);
	fake.gpus[0].smi = 0;
	assert_int_equal(count_fds(), before);
}

static void a_child_is_told(void **state)
{
	struct kfdsvm_event event;

	(void)state;
	listen_to_all();
	fake_tell(&fake, 0, "9 1 -2 1234 0\n");
	fake.pid++;
	assert_int_equal(kfdsvm_events_read(ev, &event, 1, ENTRY), -ECHILD);
	fake.pid--;
	assert_int_equal(kfdsvm_events_read(ev, &event, 1, ENTRY), 1);
	assert_int_equal(kfdsvm_events_read(ev, NULL, 1, ENTRY), -EINVAL);
	assert_int_equal(kfdsvm_events_read(ev, &event, 0, ENTRY), -EINVAL);
	assert_int_equal(kfdsvm_events_read(NULL, &event, 1, ENTRY), -EINVAL);
	assert_int_equal(kfdsvm_events_fd(NULL), -EINVAL);
}

/* Programs of another version have entries of another size. */
static void entries_of_other_sizes(void **state)
{
	union {
		struct kfdsvm_event event;
		unsigned char bytes[ENTRY + 32];
	} entries[2];
	uint64_t times[3] = { 0, 0, 77 };

	(void)state;
	listen_to_all();
	memset(entries, 0xff, sizeof(entries));
	fake_tell(&fake, 0, "9 5 -2 1234 1\n9 6 -2 1234 2\n9 7 -2 1234 2\n9 8 -2 1234 2\n");
	assert_int_equal(kfdsvm_events_read(ev, &entries[0].event, 2, sizeof(entries[0])), 2);
	assert_int_equal(entries[1].event.time_ns, 6);
	for (size_t i = ENTRY; i < sizeof(entries[0]); i++)
		assert_int_equal(entries[1].bytes[i], 0);
	assert_int_equal(kfdsvm_events_read(ev, (void *)times, 2, sizeof(times[0])), 2);
	assert_int_equal(times[0], 7);
	assert_int_equal(times[1], 8);
	assert_int_equal(times[2], 77);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(lines_become_records),
		T(other_text_is_no_event),
		T(what_a_line_says_arrives),
		T(cut_lines_are_put_together),
		T(what_has_no_room_waits_and_polls),
		T(bad_lines_are_counted_and_passed_over),
		T(a_move_between_gpus_is_told_once),
		T(a_gpu_that_is_gone_is_told_once),
		T(options_choose),
		T(failures_leave_nothing_open),
		T(a_child_is_told),
		T(entries_of_other_sizes),
	};

	return cmocka_run_group_tests_name("shim_events", tests, NULL, NULL);
}
