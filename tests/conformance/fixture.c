// SPDX-License-Identifier: GPL-2.0-only
/* The GPU a case works with, and GPU work that must succeed or must not. */
#include <sys/mman.h>
#include <unistd.h>

#include "conf.h"

#define RING_LEN (64UL << 10)

struct conf_run conf_run = { .node = -1, .dir = "/tmp" };
struct kt_dev gpu;
struct kt_queue sdma;
struct kt_bo bounce;

static uint32_t memory_event;
static struct kfd_event_data exception;
static bool have_exception;

void conf_expect(int got, int want, const char *what, const char *file, int line)
{
	if (got == want)
		return;
	print_error("%s\n    is %d (%s), expected %d (%s)\n", what, got,
		    got < 0 ? strerrorname_np(-got) : "ok", want,
		    want < 0 ? strerrorname_np(-want) : "ok");
	_fail(file, line);
}

/* 0, or -EPERM if the GPU cannot; anything else is a failure of the device. */
static int set_xnack(void)
{
	int32_t mode = xnack_on();
	int ret;

	if (conf_run.xnack == CONF_XNACK_ANY)
		return 0;
	ret = kt_xnack(gpu.kfd, &mode);
	if (ret)
		return ret;
	mode = -1;
	ret = kt_xnack(gpu.kfd, &mode);
	if (ret)
		return ret;
	return mode == xnack_on() ? 0 : -EIO;
}

void gpu_open(void)
{
	int ret;

	ret = kt_open(&gpu, conf_run.node);
	if (ret == -ENODEV || ret == -ENOENT)
		fail_msg("no GPU (kt_open: %s); is the module loaded?",
			 strerrorname_np(-ret));
	expect_ok(ret);
	ret = set_xnack();
	if (ret == -EPERM && xnack_on() && !conf_run.xnack_required)
		conf_skip("SET_XNACK_MODE says EPERM: this GPU cannot replay faults");
	/* From here on the run is what its name says: the mode was read back. */
	expect_ret(ret, 0);
}

static int open_queue(void)
{
	int ret;

	ret = kt_event_create(&gpu, KT_EVENT_MEMORY, false, &memory_event);
	if (!ret)
		ret = kt_queue_create(&gpu, RING_LEN, &sdma);
	if (!ret)
		ret = kt_bo_gtt(&gpu, BOUNCE_LEN, &bounce);
	return ret;
}

void gpu_open_queue(void)
{
	gpu_open();
	expect_ok(open_queue());
}

void gpu_renew_queue(void)
{
	expect_ok(kt_queue_destroy(&sdma));
	expect_ok(kt_queue_create(&gpu, RING_LEN, &sdma));
}

void gpu_renew_event(void)
{
	/* An event of this type cannot be reset. */
	expect_ok(kt_event_destroy(&gpu, memory_event));
	expect_ok(kt_event_create(&gpu, KT_EVENT_MEMORY, false, &memory_event));
	have_exception = false;
}

int gpu_reopen_in_child(void)
{
	int ret;

	/* The parent's descriptors and VMAs mean nothing here. */
	kt_close(&gpu);
	have_exception = false;
	ret = kt_open(&gpu, conf_run.node);
	if (!ret)
		ret = set_xnack();
	return ret ?: open_queue();
}

void *map_pages(size_t len)
{
	void *p = mmap(NULL, len, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	assert_true(p != MAP_FAILED);
	return p;
}

void *map_huge(size_t len)
{
	char *p = map_pages(len + KT_HUGE);
	char *q = (char *)(((uintptr_t)p + KT_HUGE - 1) & ~(KT_HUGE - 1));

	if (q > p)
		munmap(p, (size_t)(q - p));
	munmap(q + len, (size_t)(p + KT_HUGE - q));
	madvise(q, len, MADV_HUGEPAGE);
	return q;
}

static uint32_t word_at(uint32_t seed, size_t i)
{
	return seed + (uint32_t)i * WORD_STEP;
}

void fill_words(void *p, size_t len, uint32_t seed)
{
	uint32_t *w = p;

	for (size_t i = 0; i < len / sizeof(*w); i++)
		w[i] = word_at(seed, i);
}

bool words_are(const void *p, size_t len, uint32_t seed)
{
	const uint32_t *w = p;

	for (size_t i = 0; i < len / sizeof(*w); i++)
		if (w[i] != word_at(seed, i))
			return false;
	return true;
}

void expect_words(const void *p, size_t len, uint32_t seed)
{
	const uint32_t *w = p;

	for (size_t i = 0; i < len / sizeof(*w); i++)
		if (w[i] != word_at(seed, i))
			fail_msg("byte %#zx holds %#x, expected %#x", i * sizeof(*w),
				 w[i], word_at(seed, i));
}

void grant(const void *p, size_t len)
{
	uintptr_t first = (uintptr_t)p & ~(KT_PAGE - 1);
	uintptr_t end = ((uintptr_t)p + len + KT_PAGE - 1) & ~(KT_PAGE - 1);

	/* XNACK on: memory never registered works, that is the point. */
	if (!xnack_on())
		expect_ok(kt_svm_set1(gpu.kfd, (void *)first, end - first,
				      KFD_SVM_ATTR_ACCESS, gpu.gpu_id));
}

static bool exception_seen(void)
{
	if (!have_exception && !kt_event_wait(&gpu, memory_event, 0, &exception))
		have_exception = true;
	return have_exception;
}

int gpu_try_wait(unsigned int timeout_ms)
{
	uint64_t end = kt_now_ms() + timeout_ms;

	while (!kt_queue_done(&sdma)) {
		if (!kt_queue_wait(&sdma, 5))
			return 0;
		if (exception_seen())
			return -EFAULT;
		if (kt_now_ms() > end)
			return -ETIME;
	}
	return 0;
}

void gpu_submit(const uint32_t *dw, unsigned int ndw)
{
	expect_ok(kt_queue_emit(&sdma, dw, ndw));
	kt_queue_ring(&sdma);
}

void gpu_wait(void)
{
	int ret = gpu_try_wait(KT_WAIT_MS);
	const struct kfd_hsa_memory_exception_data *e = &exception.memory_exception_data;

	if (ret == -EFAULT)
		fail_msg("GPU memory exception at %#llx (not present %u, read only %u)",
			 (unsigned long long)e->va, e->failure.NotPresent,
			 e->failure.ReadOnly);
	if (ret)
		fail_msg("the queue stands: read pointer %#llx, write pointer %#llx",
			 (unsigned long long)*sdma.rptr, (unsigned long long)sdma.put);
}

static int emit_copy(void *dst, const void *src, size_t len)
{
	uint32_t dw[KT_SDMA_MAX_DW];
	int ret = 0;

	for (size_t at = 0, n; at < len && !ret; at += n) {
		n = len - at < KT_SDMA_COPY_MAX ? len - at : KT_SDMA_COPY_MAX;
		ret = kt_queue_emit(&sdma, dw,
				    kt_sdma_copy(dw, (uintptr_t)dst + at,
						 (uintptr_t)src + at, (uint32_t)n));
	}
	kt_queue_ring(&sdma);
	return ret;
}

int gpu_try_copy(void *dst, const void *src, size_t len)
{
	return emit_copy(dst, src, len) ?: gpu_try_wait(KT_WAIT_MS);
}

void gpu_copy_async(void *dst, const void *src, size_t len)
{
	expect_ok(emit_copy(dst, src, len));
}

void gpu_copy(void *dst, const void *src, size_t len)
{
	gpu_copy_async(dst, src, len);
	gpu_wait();
}

void gpu_fill(void *dst, uint32_t value, size_t len)
{
	uint32_t dw[KT_SDMA_MAX_DW];

	for (size_t at = 0, n; at < len; at += n) {
		n = len - at < KT_SDMA_COPY_MAX ? len - at : KT_SDMA_COPY_MAX;
		expect_ok(kt_queue_emit(&sdma, dw,
					kt_sdma_fill(dw, (uintptr_t)dst + at, value,
						     (uint32_t)n)));
	}
	kt_queue_ring(&sdma);
	gpu_wait();
}

void gpu_write32(void *dst, uint32_t value)
{
	uint32_t dw[KT_SDMA_MAX_DW];

	gpu_submit(dw, kt_sdma_write1(dw, (uintptr_t)dst, value));
	gpu_wait();
}

uint32_t gpu_read32(const void *src)
{
	volatile uint32_t *b = bounce.cpu;

	*b = 0xbad0bad0;
	gpu_copy(bounce.cpu, src, sizeof(*b));
	return *b;
}

void gpu_expect_words(const void *p, size_t len, uint32_t seed)
{
	void *seen = malloc(len);

	assert_non_null(seen);
	for (size_t at = 0, n; at < len; at += n) {
		n = len - at < BOUNCE_LEN ? len - at : BOUNCE_LEN;
		memset(bounce.cpu, 0xa5, n);
		gpu_copy(bounce.cpu, (const char *)p + at, n);
		memcpy((char *)seen + at, bounce.cpu, n);
	}
	expect_words(seen, len, seed);
	free(seen);
}

void gpu_write_words(void *p, size_t len, uint32_t seed)
{
	uint32_t *data = malloc(len);

	assert_non_null(data);
	fill_words(data, len, seed);
	for (size_t at = 0, n; at < len; at += n) {
		n = len - at < BOUNCE_LEN ? len - at : BOUNCE_LEN;
		memcpy(bounce.cpu, (char *)data + at, n);
		gpu_copy((char *)p + at, bounce.cpu, n);
	}
	free(data);
}

void gpu_expect_exception(const void *va, unsigned int kind)
{
	const struct kfd_hsa_memory_exception_data *e = &exception.memory_exception_data;
	const uint64_t mask = (1ULL << 48) - KT_PAGE;	/* GPU addresses have 48 bits */
	int ret = gpu_try_wait(KT_WAIT_MS);

	if (!ret)
		fail_msg("the GPU access at %p succeeded", va);
	expect_ret(ret, -EFAULT);
	if ((e->va & mask) != ((uintptr_t)va & mask))
		fail_msg("memory exception at %#llx, expected the page of %p",
			 (unsigned long long)e->va, va);
	assert_int_equal(e->gpu_id, gpu.gpu_id);
	if (kind == EXC_READ_ONLY)
		assert_true(e->failure.ReadOnly);
	if (kind == EXC_NOT_PRESENT)
		assert_true(e->failure.NotPresent);
	/* The packet did not complete, and never will. */
	assert_false(kt_queue_done(&sdma));
}

void gpu_read_is_exception(const void *va, unsigned int kind)
{
	*(volatile uint32_t *)bounce.cpu = 0xbad0bad0;
	gpu_copy_async(bounce.cpu, va, sizeof(uint32_t));
	gpu_expect_exception(va, kind);
	assert_int_equal(*(volatile uint32_t *)bounce.cpu, 0xbad0bad0);
}

void gpu_write_is_exception(const void *va, unsigned int kind)
{
	uint32_t dw[KT_SDMA_MAX_DW];

	gpu_submit(dw, kt_sdma_write1(dw, (uintptr_t)va, 0xbad1bad1));
	gpu_expect_exception(va, kind);
}
