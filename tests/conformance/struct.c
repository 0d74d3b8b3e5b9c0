// SPDX-License-Identifier: GPL-2.0-only
/*
 * Ioctl structures of other lengths than the header's: KFD matches a command by
 * its number, takes the length user space encoded, fills the rest with zeros
 * and copies the same length back.
 */
#include <sys/mman.h>
#include <unistd.h>

#include "conf.h"

#define GUARD 0xa5

static unsigned long cmd_of(unsigned int nr, size_t len)
{
	return _IOC(_IOC_READ | _IOC_WRITE, 'K', nr, 0) |
	       (unsigned long)len << _IOC_SIZESHIFT;
}

static bool guard_intact(const unsigned char *buf, size_t from, size_t to)
{
	for (size_t i = from; i < to; i++)
		if (buf[i] != GUARD)
			return false;
	return true;
}

static void unknown_ioctl_is_ENOTTY(void **state)
{
	static const unsigned int known_end = 0x27;	/* of the 1.17 ABI */
	char buf[256] = { 0 };

	(void)state;
	gpu_open();
	expect_ret(kt_ioctl(gpu.kfd, cmd_of(0, 8), buf), -ENOTTY);
	for (unsigned int nr = known_end; nr < 0x80; nr++)
		expect_ret(kt_ioctl(gpu.kfd, cmd_of(nr, 8), buf), -ENOTTY);
	for (unsigned int nr = 0x86; nr < 0x100; nr++)
		expect_ret(kt_ioctl(gpu.kfd, cmd_of(nr, 8), buf), -ENOTTY);
}

/* The out-of-tree numbers the thunk probes; a stock kernel has none of them. */
static void out_of_tree_ioctls_are_ENOTTY(void **state)
{
	char buf[256] = { 0 };

	(void)state;
	gpu_open();
	for (unsigned int nr = 0x80; nr < 0x86; nr++)
		expect_ret(kt_ioctl(gpu.kfd, cmd_of(nr, 128), buf), -ENOTTY);
}

static void short_struct_is_copied_back_no_further(void **state)
{
	unsigned char buf[64];

	(void)state;
	gpu_open();
	memset(buf, GUARD, sizeof(buf));
	expect_ok(kt_ioctl(gpu.kfd, cmd_of(0x01, 4), buf));
	assert_int_equal(*(uint32_t *)buf, 1);	/* major */
	assert_true(guard_intact(buf, 4, sizeof(buf)));
}

static void long_struct_has_a_legal_tail(void **state)
{
	unsigned char buf[4096] = { 0 };

	(void)state;
	gpu_open();
	expect_ok(kt_ioctl(gpu.kfd, cmd_of(0x01, sizeof(buf)), buf));
	assert_int_equal(*(uint32_t *)buf, 1);
	assert_true(*(uint32_t *)(buf + 4) >= 5);	/* SVM came with 1.5 */
}

static void create_queue_takes_the_old_and_the_new_length(void **state)
{
	static const size_t lens[] = { 88, 96, 128 };
	union {
		struct kfd_ioctl_create_queue_args args;
		unsigned char bytes[128];
	} u;

	(void)state;
	gpu_open_queue();
	for (unsigned int i = 0; i < KT_ARRAY_SIZE(lens); i++) {
		memset(&u, 0, sizeof(u));
		u.args.ring_base_address = (uintptr_t)sdma.ring.cpu;
		u.args.ring_size = (uint32_t)sdma.ring.len;
		u.args.read_pointer_address = (uintptr_t)(sdma.rptr + 64 + 32 * i);
		u.args.write_pointer_address = (uintptr_t)(sdma.rptr + 80 + 32 * i);
		u.args.gpu_id = gpu.gpu_id;
		u.args.queue_type = KFD_IOC_QUEUE_TYPE_SDMA;
		u.args.queue_percentage = 100;
		expect_ok(kt_ioctl(gpu.kfd, cmd_of(0x02, lens[i]), &u));
	}
}

static void xnack_query_with_short_struct_reads_zeros(void **state)
{
	unsigned char buf[16];

	(void)state;
	gpu_open();
	/* A length of 0 means xnack_enabled = 0: "off", not a query. */
	memset(buf, GUARD, sizeof(buf));
	expect_ok(kt_ioctl(gpu.kfd, cmd_of(0x21, 0), buf));
	assert_true(guard_intact(buf, 0, sizeof(buf)));
}

static void buffer_not_readable_is_EFAULT(void **state)
{
	char *p;

	(void)state;
	gpu_open();
	p = map_pages(2 * KT_PAGE);
	munmap(p + KT_PAGE, KT_PAGE);
	/* The struct ends in the page that is missing. */
	expect_ret(kt_ioctl(gpu.kfd, cmd_of(0x20, 24), p + KT_PAGE - 16), -EFAULT);
	expect_ret(kt_ioctl(gpu.kfd, cmd_of(0x21, 4), p + KT_PAGE), -EFAULT);
	expect_ret(kt_ioctl(gpu.kfd, cmd_of(0x20, 16383), p), -EFAULT);
	expect_ret(kt_ioctl(gpu.kfd, cmd_of(0x16, 40), NULL), -EFAULT);
}

/*
 * Every number with every odd length, zeros inside, the end of the buffer at
 * the end of memory: nothing is read or written beyond the encoded length.
 */
static void every_ioctl_keeps_to_the_encoded_length(void **state)
{
	static const size_t lens[] = {
		0, 1, 3, 4, 7, 8, 12, 16, 20, 24, 32, 39, 40, 48, 63, 64, 88, 96, 128,
		400, 512, 4095, 4096, 16383,
	};
	const size_t room = 4 * KT_PAGE;
	unsigned char *p;

	(void)state;
	gpu_open();
	p = map_pages(room + KT_PAGE);
	munmap(p + room, KT_PAGE);
	for (unsigned int nr = 0; nr <= 0x90; nr++) {
		for (unsigned int i = 0; i < KT_ARRAY_SIZE(lens); i++) {
			unsigned char *at = p + room - lens[i];
			int ret;

			memset(p, GUARD, room);
			memset(at, 0, lens[i]);
			ret = kt_ioctl(gpu.kfd, cmd_of(nr, lens[i]), at);
			if (!guard_intact(p, 0, room - lens[i]))
				fail_msg("ioctl %#x wrote before a struct of %zu bytes",
					 nr, lens[i]);
			assert_true(ret <= 0);
		}
	}
	/* The device still works, whatever some of these calls did. */
	expect_ok(kt_svm(gpu.kfd, KFD_SVM_OP_GET_ATTR, (uintptr_t)p, room, 0, NULL));
}

static void get_version_is_1_5_or_later(void **state)
{
	struct kfd_ioctl_get_version_args args = { 0 };

	(void)state;
	gpu_open();
	expect_ok(kt_ioctl(gpu.kfd, AMDKFD_IOC_GET_VERSION, &args));
	assert_int_equal(args.major_version, 1);
	assert_true(args.minor_version >= 5);
}

static void apertures_show_the_whole_address_space(void **state)
{
	(void)state;
	gpu_open();
	/* Any pointer of the program must be a GPU address. */
	assert_true(gpu.va_limit >= 0x7fffffffffffULL);
	assert_true(gpu.va_base <= 0x10000);
}

static void clock_counters_advance(void **state)
{
	struct kfd_ioctl_get_clock_counters_args a = { .gpu_id = gpu.gpu_id }, b;

	(void)state;
	gpu_open();
	a.gpu_id = gpu.gpu_id;
	b = a;
	expect_ok(kt_ioctl(gpu.kfd, AMDKFD_IOC_GET_CLOCK_COUNTERS, &a));
	/* Another reading differs as soon as a tick has passed. */
	assert_true(kt_wait_for(!kt_ioctl(gpu.kfd, AMDKFD_IOC_GET_CLOCK_COUNTERS, &b) &&
				b.gpu_clock_counter > a.gpu_clock_counter, KT_WAIT_MS));
	assert_true(b.system_clock_counter >= a.system_clock_counter);
	assert_true(a.system_clock_freq > 0);
	/* The thunk asks for node 0, too, whose id is 0. */
	a.gpu_id = 0;
	expect_ok(kt_ioctl(gpu.kfd, AMDKFD_IOC_GET_CLOCK_COUNTERS, &a));
	assert_true(a.system_clock_freq > 0);
}

static const struct conf_case cases[] = {
	CASE(get_version_is_1_5_or_later, CONF_ONCE),
	CASE(apertures_show_the_whole_address_space, CONF_ONCE),
	CASE(clock_counters_advance, CONF_ONCE),
	CASE(unknown_ioctl_is_ENOTTY, CONF_ONCE),
	CASE(out_of_tree_ioctls_are_ENOTTY, CONF_ONCE | CONF_VIRTUAL),
	CASE(short_struct_is_copied_back_no_further, CONF_ONCE),
	CASE(long_struct_has_a_legal_tail, CONF_ONCE),
	CASE(create_queue_takes_the_old_and_the_new_length, CONF_ONCE | CONF_VIRTUAL),
	CASE(xnack_query_with_short_struct_reads_zeros, CONF_ONCE),
	CASE(buffer_not_readable_is_EFAULT, CONF_ONCE),
	CASE(every_ioctl_keeps_to_the_encoded_length, CONF_ONCE | CONF_VIRTUAL),
};

CONF_GROUP(struct_group, cases);
