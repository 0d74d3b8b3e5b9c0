// SPDX-License-Identifier: GPL-2.0-only
/*
 * SMI messages: the text of each kind, and a queue in which much is lost but never the
 * half of a pair.
 */
#include "smi_queue.h"

#include "unit.h"

#define ALL	(~0ULL)

static struct vamdgpu_smi_queue q;

static int setup(void **state)
{
	memset(&q, 0, sizeof(q));
	vamdgpu_smi_queue_enable(&q, ALL);
	return 0;
}

static const char *text(const struct kfd_svm_event *event, u64 ns, int pid)
{
	static struct vamdgpu_smi_message msg;

	assert_true(vamdgpu_smi_format(&msg, event, ns, pid));
	assert_int_equal(msg.len, strlen(msg.line));
	return msg.line;
}

static void lines_are_as_documented(void **state)
{
	struct kfd_svm_event e = {
		.kind = KFD_SVM_EVENT_MIGRATE_START,
		.trigger = KFD_SVM_MIGRATE_GPU_FAULT,
		.user_gpu_id = 0x8a3b,
		.first_page = 0x7f1234567,
		.npages = 0x1f0,
		.to = 0x8a3b,
		.prefetch = 0xffffffff,
		.preferred = 0,
		.error = -12,
	};

	assert_string_equal(text(&e, 1234567890123, 4711),
			    "5 1234567890123 -4711 @7f1234567(1f0) 0->8a3b ffffffff:0 1\n");
	e.kind = KFD_SVM_EVENT_MIGRATE_END;
	assert_string_equal(text(&e, 1, 2),
			    "6 1 -2 @7f1234567(1f0) 0->8a3b 1 -12\n");
	e.kind = KFD_SVM_EVENT_PAGE_FAULT_START;
	assert_string_equal(text(&e, 1, 2), "7 1 -2 @7f1234567(8a3b) R\n");
	e.write = true;
	assert_string_equal(text(&e, 1, 2), "7 1 -2 @7f1234567(8a3b) W\n");
	e.kind = KFD_SVM_EVENT_PAGE_FAULT_END;
	assert_string_equal(text(&e, 1, 2), "8 1 -2 @7f1234567(8a3b) U\n");
	e.migrated = true;
	assert_string_equal(text(&e, 1, 2), "8 1 -2 @7f1234567(8a3b) M\n");
	e.kind = KFD_SVM_EVENT_QUEUE_EVICTION;
	assert_string_equal(text(&e, 1, 2), "9 1 -2 8a3b 1\n");
	e.kind = KFD_SVM_EVENT_QUEUE_RESTORE;
	assert_string_equal(text(&e, 1, 2), "a 1 -2 8a3b 0\n");
	e.rescheduled = true;
	assert_string_equal(text(&e, 1, 2), "a 1 -2 8a3b R\n");
	e.kind = KFD_SVM_EVENT_UNMAP_FROM_GPU;
	assert_string_equal(text(&e, 1, 2), "b 1 -2 @7f1234567(1f0) 8a3b 1\n");
}

/* What 48 bits of address, 32 of id and a century of uptime can be fits. */
static void longest_line_fits(void **state)
{
	struct kfd_svm_event e = {
		.kind = KFD_SVM_EVENT_MIGRATE_START,
		.trigger = 3,
		.first_page = 0xfffffffff,
		.npages = 0xfffffffff,
		.from = 0xffff,
		.to = 0xffff,
		.prefetch = 0xffffffff,
		.preferred = 0xffffffff,
	};

	text(&e, 3200000000000000000ULL, 4194304);
}

static void too_long_a_line_is_refused(void **state)
{
	struct kfd_svm_event e = {
		.kind = KFD_SVM_EVENT_MIGRATE_START,
		.trigger = ~0U,
		.first_page = ~0ULL,
		.npages = ~0ULL,
		.from = ~0U,
		.to = ~0U,
		.prefetch = ~0U,
		.preferred = ~0U,
	};
	struct vamdgpu_smi_message msg;

	assert_false(vamdgpu_smi_format(&msg, &e, ~0ULL, 1));
}

static void name_cannot_fake_a_line(void **state)
{
	struct vamdgpu_smi_message msg;

	assert_true(vamdgpu_smi_format_vmfault(&msg, 0x4711, "a b\n5 1 -1 @\x7f\xe4"));
	assert_int_equal(msg.len, strlen("1 4711:a b?5 1 -1 @??\n"));
	assert_memory_equal(msg.line, "1 4711:a b?5 1 -1 @??\n", msg.len);
	/* A name without an end. */
	assert_true(vamdgpu_smi_format_vmfault(&msg, 1, "0123456789abcdef"));
	assert_memory_equal(msg.line, "1 1:0123456789abcde\n", msg.len);
}

static bool add(enum kfd_svm_event_kind kind, unsigned int page, int pid)
{
	struct kfd_svm_event e = {
		.kind = kind,
		.user_gpu_id = 0x8a3b,
		.first_page = page,
		.npages = 1,
		.to = 0x8a3b,
		.error = -4095,
	};
	struct vamdgpu_smi_message msg;

	assert_true(vamdgpu_smi_format(&msg, &e, 999999, pid));
	return vamdgpu_smi_queue_add(&q, &msg);
}

/* Takes the first line. */
static const char *line(void)
{
	static char buf[VAMDGPU_SMI_LINE_LEN];
	unsigned int n = 0;

	while (vamdgpu_smi_queue_take(&q, buf + n, 1)) {
		if (buf[n++] == '\n')
			break;
	}
	buf[n] = 0;
	return buf;
}

static void mask_selects(void **state)
{
	vamdgpu_smi_queue_enable(&q, 0);
	assert_false(add(KFD_SVM_EVENT_UNMAP_FROM_GPU, 1, 1));
	vamdgpu_smi_queue_enable(&q, VAMDGPU_SMI_BIT(11));
	assert_true(add(KFD_SVM_EVENT_UNMAP_FROM_GPU, 1, 1));
	assert_false(add(KFD_SVM_EVENT_QUEUE_RESTORE, 1, 1));
	assert_string_equal(line(), "b 999999 -1 @1(1) 8a3b 0\n");
	assert_int_equal(q.len, 0);
}

static void order_is_kept_round_the_end(void **state)
{
	char want[64];
	unsigned int i, k;

	for (i = 0; i < 200; i++) {
		for (k = 0; k < 7; k++)
			assert_true(add(KFD_SVM_EVENT_UNMAP_FROM_GPU, i * 8 + k, 1));
		for (k = 0; k < 7; k++) {
			snprintf(want, sizeof(want), "b 999999 -1 @%x(1) 8a3b 0\n",
				 i * 8 + k);
			assert_string_equal(line(), want);
		}
	}
	assert_string_equal(line(), "");
}

static void read_may_take_part_of_a_line(void **state)
{
	char buf[8];

	assert_true(add(KFD_SVM_EVENT_UNMAP_FROM_GPU, 1, 1));
	assert_int_equal(vamdgpu_smi_queue_take(&q, buf, 0), 0);
	assert_int_equal(vamdgpu_smi_queue_take(&q, buf, 4), 4);
	assert_memory_equal(buf, "b 99", 4);
	assert_string_equal(line(), "9999 -1 @1(1) 8a3b 0\n");
}

static void full_queue_drops_whole_lines(void **state)
{
	unsigned int n = 0, got = 0;

	while (add(KFD_SVM_EVENT_UNMAP_FROM_GPU, 1, 1))
		n++;
	assert_true(q.len <= VAMDGPU_SMI_QUEUE_LEN);
	assert_true(q.len + strlen("b 999999 -1 @1(1) 8a3b 0\n") >
		    VAMDGPU_SMI_QUEUE_LEN);
	/* A shorter one may still fit, and the text remains lines. */
	while (strcmp(line(), ""))
		got++;
	assert_int_equal(got, n);
	assert_true(add(KFD_SVM_EVENT_UNMAP_FROM_GPU, 1, 1));
}

static void end_finds_room_if_its_start_did(void **state)
{
	unsigned int n = 0, i;

	while (add(KFD_SVM_EVENT_MIGRATE_START, n, 1))
		n++;
	assert_true(n > 2);
	while (add(KFD_SVM_EVENT_QUEUE_RESTORE, 1, 1))
		;
	for (i = 0; i < n; i++)
		assert_true(add(KFD_SVM_EVENT_MIGRATE_END, i, 1));
	assert_int_equal(q.room, 0);
}

static void end_of_a_lost_start_is_lost(void **state)
{
	unsigned int n = 0;

	while (add(KFD_SVM_EVENT_MIGRATE_START, n, 1))
		n++;
	while (strcmp(line(), ""))
		;
	assert_false(add(KFD_SVM_EVENT_MIGRATE_END, n, 1));
	assert_false(add(KFD_SVM_EVENT_MIGRATE_END, 0, 2));
	assert_false(add(KFD_SVM_EVENT_PAGE_FAULT_END, 0, 1));
	assert_true(add(KFD_SVM_EVENT_MIGRATE_END, 0, 1));
	assert_false(add(KFD_SVM_EVENT_MIGRATE_END, 0, 1));
}

static void end_alone_is_told_if_start_is_off(void **state)
{
	vamdgpu_smi_queue_enable(&q, VAMDGPU_SMI_BIT(VAMDGPU_SMI_MIGRATE_END));
	assert_false(add(KFD_SVM_EVENT_MIGRATE_START, 1, 1));
	assert_true(add(KFD_SVM_EVENT_MIGRATE_END, 1, 1));
}

static void room_of_an_end_that_is_turned_off_is_free_again(void **state)
{
	assert_true(add(KFD_SVM_EVENT_MIGRATE_START, 1, 1));
	assert_true(q.room);
	vamdgpu_smi_queue_enable(&q, VAMDGPU_SMI_BIT(VAMDGPU_SMI_MIGRATE_START));
	assert_int_equal(q.room, 0);
	assert_false(add(KFD_SVM_EVENT_MIGRATE_END, 1, 1));
	/* Without an END to wait for a START takes no place. */
	while (add(KFD_SVM_EVENT_MIGRATE_START, 1, 1))
		;
	assert_int_equal(q.room, 0);
}

/*
 * Any traffic, read in bits of any length: of what was queued nothing is missing, STARTs
 * and ENDs match, and room is never promised twice.
 */
static void random_traffic_stays_paired(void **state)
{
	static unsigned int open[2][8];	/* queued STARTs without END, by kind and page */
	unsigned int seed = 1, step, kind, page, queued = 0, taken = 0;
	char buf[200];

	for (step = 0; step < 200000; step++) {
		kind = unit_random(&seed, 6);
		page = unit_random(&seed, 8);
		switch (kind) {
		case 0:
		case 1:
			open[kind][page] += add(kind ? KFD_SVM_EVENT_PAGE_FAULT_START :
						KFD_SVM_EVENT_MIGRATE_START, page, 1);
			break;
		case 2:
		case 3:
			kind -= 2;
			assert_int_equal(add(kind ? KFD_SVM_EVENT_PAGE_FAULT_END :
					     KFD_SVM_EVENT_MIGRATE_END, page, 1),
					 open[kind][page] > 0);
			open[kind][page] -= open[kind][page] > 0;
			break;
		case 4:
			add(KFD_SVM_EVENT_UNMAP_FROM_GPU, page, 1);
			break;
		default:
			queued = q.len;
			taken = vamdgpu_smi_queue_take(&q, buf,
						       unit_random(&seed, sizeof(buf)));
			assert_int_equal(q.len + taken, queued);
		}
		assert_true(q.len + q.room <= VAMDGPU_SMI_QUEUE_LEN);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_are_as_documented),
		cmocka_unit_test(longest_line_fits),
		cmocka_unit_test(too_long_a_line_is_refused),
		cmocka_unit_test(name_cannot_fake_a_line),
		cmocka_unit_test_setup(mask_selects, setup),
		cmocka_unit_test_setup(order_is_kept_round_the_end, setup),
		cmocka_unit_test_setup(read_may_take_part_of_a_line, setup),
		cmocka_unit_test_setup(full_queue_drops_whole_lines, setup),
		cmocka_unit_test_setup(end_finds_room_if_its_start_did, setup),
		cmocka_unit_test_setup(end_of_a_lost_start_is_lost, setup),
		cmocka_unit_test_setup(end_alone_is_told_if_start_is_off, setup),
		cmocka_unit_test_setup(room_of_an_end_that_is_turned_off_is_free_again, setup),
		cmocka_unit_test_setup(random_traffic_stays_paired, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
