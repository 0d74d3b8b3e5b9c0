// SPDX-License-Identifier: MIT
/*
 * glibc's heap, from the first queue on.
 *
 * glibc says with each chunk where it lies: the word before it holds its length
 * and two bits that matter here. So the fast path is a comparison:
 *
 *  - a mapping of its own (IS_MMAPPED): registered each time malloc gives one
 *    out; it is gone when it is freed;
 *  - the main heap, which grows with brk: known from main_start to main_end. It
 *    could shrink behind our back when something is freed, so trimming is
 *    switched off (M_TRIM_THRESHOLD);
 *  - the heap of an arena (NON_MAIN_ARENA), 64 MiB aligned: known up to an end in
 *    a table. glibc unmaps such a heap when all in it is free, so one chunk in
 *    each is kept from being freed (the pin);
 *  - what the main arena maps when brk fails, which is never unmapped: a list.
 *
 * That this layout is what is there is tested before it is relied on
 * (is_glibc_heap()). Another malloc, the program's own or a checker's, calls the
 * interposed mmap and sbrk like any code, and needs none of this.
 */
#include <dlfcn.h>
#include <errno.h>
#include <gnu/libc-version.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "preload.h"

#define IS_MMAPPED	2u
#define NON_MAIN_ARENA	4u
#define SIZE_BITS	7u
#define HEAP_LEN	((uintptr_t)sizeof(void *) << 23)	/* HEAP_MAX_SIZE */
#define MAX_HEAPS	4096u
#define MAX_EXTRAS	64u

/* An arena's heap grows by single pages: more at a time, for fewer calls. */
#define ARENA_STEP	(256u << 10)
#define MAIN_STEP	(1 << 20)
/* The largest that glibc takes. Blocks below it come back registered. */
#define MMAP_THRESHOLD	((int)(HEAP_LEN / 2))

struct heap {
	_Atomic uintptr_t base;
	_Atomic uintptr_t end;
	void *pin;
};

struct extra {
	uintptr_t start;
	uintptr_t end;
};

static struct heap heaps[MAX_HEAPS];
static struct extra extras[MAX_EXTRAS];
static _Atomic unsigned int nextras;
static _Atomic uintptr_t main_start, main_end;
static bool started, is_libc, heap_len_is_known;

static struct {
	void *(*malloc)(size_t len);
	void (*free)(void *p);
	void *(*calloc)(size_t n, size_t len);
	void *(*realloc)(void *p, size_t len);
	void *(*memalign)(size_t align, size_t len);
	void *(*aligned_alloc)(size_t align, size_t len);
	int (*posix_memalign)(void **p, size_t align, size_t len);
	void *(*valloc)(size_t len);
	void *(*pvalloc)(size_t len);
	int (*mallopt)(int what, int value);
	int (*malloc_trim)(size_t pad);
	size_t (*usable)(void *p);
	void *(*sbrk)(intptr_t by);
} real;

static size_t word_before(const void *p)
{
	return ((const size_t *)p)[-1];
}

static uintptr_t chunk_end(const void *p, size_t word)
{
	return (uintptr_t)p + (word & ~(size_t)SIZE_BITS) - sizeof(size_t);
}

static uintptr_t break_now(void)
{
	return pre_up((uintptr_t)real.sbrk(0));
}

/* ---- arenas ---- */

static struct heap *heap_slot(uintptr_t base)
{
	for (unsigned int i = 0; i < MAX_HEAPS; i++) {
		struct heap *h = &heaps[(base / HEAP_LEN + i) % MAX_HEAPS];
		uintptr_t there = atomic_load_explicit(&h->base, memory_order_acquire);

		if (there == base || !there)
			return h;
	}
	return NULL;
}

static struct heap *heap_of(const void *p)
{
	uintptr_t base = (uintptr_t)p & ~(HEAP_LEN - 1);
	struct heap *h = heap_slot(base);

	return h && atomic_load_explicit(&h->base, memory_order_relaxed) == base ? h : NULL;
}

/*
 * @ahead is a chunk that was allocated to make the heap grow, and is freed
 * afterwards; it may have come from anywhere.
 */
static void grow_heap(void *p, uintptr_t end, const void *ahead)
{
	uintptr_t base = (uintptr_t)p & ~(HEAP_LEN - 1), known = base;
	struct heap *h = heap_slot(base);
	bool is_new = h && !atomic_load(&h->base);

	if (h && !is_new)
		known = atomic_load(&h->end);
	if (end <= known)
		return;
	if (ahead && ((uintptr_t)ahead & ~(HEAP_LEN - 1)) == base &&
	    chunk_end(ahead, word_before(ahead)) > end)
		end = chunk_end(ahead, word_before(ahead));
	end = pre_up(end);
	if (!h || !heap_len_is_known) {
		pre_share((uintptr_t)p, end);
		return;
	}
	pre_share(known, end);
	if (is_new)
		h->pin = p;
	atomic_store_explicit(&h->end, end, memory_order_release);
	if (is_new)
		atomic_store_explicit(&h->base, base, memory_order_release);
}

static void note_arena(void *p, uintptr_t end)
{
	struct heap *h = heap_of(p);
	sigset_t saved;
	void *ahead;

	if (h && end <= atomic_load_explicit(&h->end, memory_order_acquire))
		return;
	ahead = real.malloc(ARENA_STEP);
	if (ahead && (word_before(ahead) & (IS_MMAPPED | NON_MAIN_ARENA)) != NON_MAIN_ARENA) {
		real.free(ahead);
		ahead = NULL;
	}
	pre_lock(&saved);
	grow_heap(p, end, ahead);
	pre_unlock(&saved);
	real.free(ahead);
}

/* ---- the main arena ---- */

static bool is_known_main(uintptr_t start, uintptr_t end)
{
	unsigned int n;

	if (start >= atomic_load_explicit(&main_start, memory_order_relaxed) &&
	    end <= atomic_load_explicit(&main_end, memory_order_acquire))
		return true;
	n = atomic_load_explicit(&nextras, memory_order_acquire);
	for (unsigned int i = 0; i < n; i++)
		if (start >= extras[i].start && end <= extras[i].end)
			return true;
	return false;
}

void pre_heap_seen(uintptr_t start, uintptr_t end)
{
	atomic_store(&main_end, end);
	atomic_store(&main_start, start);
}

static void grow_main(uintptr_t start, uintptr_t end)
{
	uintptr_t known = atomic_load(&main_end), now = break_now();
	unsigned int n = atomic_load(&nextras);

	if (is_known_main(start, end))
		return;
	if (known && start >= atomic_load(&main_start) && end <= now) {
		pre_share(known, now);
		atomic_store(&main_end, now);
		return;
	}
	if (!pre_mapping_at(start, &start, &end))
		return;
	pre_share(start, end);
	if (!known && end == now) {
		pre_heap_seen(start, end);
	} else if (n < MAX_EXTRAS) {
		extras[n] = (struct extra){ start, end };
		atomic_store_explicit(&nextras, n + 1, memory_order_release);
	}
}

/* The program called brk or sbrk. */
void pre_heap_moved(void)
{
	uintptr_t known = atomic_load(&main_end), now;

	if (!known)
		return;
	now = break_now();
	if (now > known)
		pre_share(known, now);
	atomic_store(&main_end, now);
}

/* ---- what malloc gave out ---- */

static void note_slowly(void *p, size_t word, uintptr_t end)
{
	uintptr_t start = (uintptr_t)p;
	sigset_t saved;

	pre_lock(&saved);
	if (word & IS_MMAPPED) {
		/* The word before the length says how far the mapping begins before. */
		start -= 2 * sizeof(size_t) + ((const size_t *)p)[-2];
		pre_share(start, end - sizeof(size_t));
	} else {
		grow_main(start, end);
	}
	pre_unlock(&saved);
}

static inline void *note(void *p)
{
	uintptr_t end;
	size_t word;
	int saved;

	if (!p || !pre_is(PRE_ACTIVE))
		return p;
	word = word_before(p);
	end = chunk_end(p, word);
	if (!(word & (IS_MMAPPED | NON_MAIN_ARENA)) && is_known_main((uintptr_t)p, end))
		return p;
	saved = errno;
	if ((word & (IS_MMAPPED | NON_MAIN_ARENA)) == NON_MAIN_ARENA)
		note_arena(p, end);
	else
		note_slowly(p, word, end);
	errno = saved;
	return p;
}

static bool is_pin(const void *p)
{
	const struct heap *h;

	if (!p || !pre_is(PRE_ACTIVE) ||
	    (word_before(p) & (IS_MMAPPED | NON_MAIN_ARENA)) != NON_MAIN_ARENA)
		return false;
	h = heap_of(p);
	return h && h->pin == p;
}

static void *hook_malloc(size_t len)
{
	return note(real.malloc(len));
}

static void hook_free(void *p)
{
	if (p && pre_is(PRE_ACTIVE) && (word_before(p) & NON_MAIN_ARENA)) {
		/* The first we see of a heap may be that something in it is freed. */
		note(p);
		if (is_pin(p))
			return;
	}
	real.free(p);
}

static void *hook_calloc(size_t n, size_t len)
{
	return note(real.calloc(n, len));
}

static void *hook_realloc(void *p, size_t len)
{
	size_t had;
	void *q;

	if (!is_pin(p))
		return note(real.realloc(p, len));
	if (!len)
		return NULL;
	had = real.usable(p);
	q = hook_malloc(len);
	if (q)
		memcpy(q, p, had < len ? had : len);
	return q;
}

static void *hook_reallocarray(void *p, size_t n, size_t len)
{
	size_t all;

	if (__builtin_mul_overflow(n, len, &all)) {
		errno = ENOMEM;
		return NULL;
	}
	return hook_realloc(p, all);
}

static void *hook_memalign(size_t align, size_t len)
{
	return note(real.memalign(align, len));
}

static void *hook_aligned_alloc(size_t align, size_t len)
{
	return note(real.aligned_alloc(align, len));
}

static int hook_posix_memalign(void **p, size_t align, size_t len)
{
	int ret = real.posix_memalign(p, align, len);

	if (!ret)
		note(*p);
	return ret;
}

static void *hook_valloc(size_t len)
{
	return note(real.valloc(len));
}

static void *hook_pvalloc(size_t len)
{
	return note(real.pvalloc(len));
}

/* The heap may not shrink: what would be told to the program is "nothing to give". */
static int hook_malloc_trim(size_t pad)
{
	return pre_is(PRE_ACTIVE) ? 0 : real.malloc_trim(pad);
}

static int hook_mallopt(int what, int value)
{
	if (what == M_TRIM_THRESHOLD && pre_is(PRE_ACTIVE))
		return 1;
	return real.mallopt(what, value);
}

static void hook_free_sized(void *p, size_t len)
{
	(void)len;
	hook_free(p);
}

static void hook_free_aligned_sized(void *p, size_t align, size_t len)
{
	(void)align;
	(void)len;
	hook_free(p);
}

struct pre_heap_hook pre_heap_hooks[] = {
	{ .name = "malloc", .hook = hook_malloc },
	{ .name = "free", .hook = hook_free },
	{ .name = "calloc", .hook = hook_calloc },
	{ .name = "realloc", .hook = hook_realloc },
	{ .name = "reallocarray", .hook = hook_reallocarray },
	{ .name = "memalign", .hook = hook_memalign },
	{ .name = "aligned_alloc", .hook = hook_aligned_alloc },
	{ .name = "posix_memalign", .hook = hook_posix_memalign },
	{ .name = "valloc", .hook = hook_valloc },
	{ .name = "pvalloc", .hook = hook_pvalloc },
	{ .name = "malloc_trim", .hook = hook_malloc_trim },
	{ .name = "mallopt", .hook = hook_mallopt },
	{ .name = "free_sized", .hook = hook_free_sized },
	{ .name = "free_aligned_sized", .hook = hook_free_aligned_sized },
	{ 0 },
};

/* Whether malloc is the one of the libc that this library uses. */
static bool is_libc_malloc(void)
{
	Dl_info malloc_at, libc_at;

	return dladdr((void *)real.malloc, &malloc_at) &&
	       dladdr((void *)gnu_get_libc_version, &libc_at) &&
	       malloc_at.dli_fbase == libc_at.dli_fbase;
}

static bool looks_right(size_t len)
{
	void *p = real.malloc(len);
	size_t word;
	bool good;

	if (!p)
		return false;
	word = word_before(p);
	good = real.usable(p) == (word & ~(size_t)SIZE_BITS) -
	       (word & IS_MMAPPED ? 2 : 1) * sizeof(size_t);
	real.free(p);
	return good;
}

static bool is_glibc_heap(void)
{
	return is_libc && looks_right(24) && looks_right(3000) &&
	       looks_right(MMAP_THRESHOLD + 1);
}

static void find_real(void)
{
	for (struct pre_heap_hook *h = pre_heap_hooks; h->name; h++)
		h->real = dlsym(RTLD_DEFAULT, h->name);
	*(void **)&real.malloc = dlsym(RTLD_DEFAULT, "malloc");
	*(void **)&real.free = dlsym(RTLD_DEFAULT, "free");
	*(void **)&real.calloc = dlsym(RTLD_DEFAULT, "calloc");
	*(void **)&real.realloc = dlsym(RTLD_DEFAULT, "realloc");
	*(void **)&real.memalign = dlsym(RTLD_DEFAULT, "memalign");
	*(void **)&real.aligned_alloc = dlsym(RTLD_DEFAULT, "aligned_alloc");
	*(void **)&real.posix_memalign = dlsym(RTLD_DEFAULT, "posix_memalign");
	*(void **)&real.valloc = dlsym(RTLD_DEFAULT, "valloc");
	*(void **)&real.pvalloc = dlsym(RTLD_DEFAULT, "pvalloc");
	*(void **)&real.mallopt = dlsym(RTLD_DEFAULT, "mallopt");
	*(void **)&real.malloc_trim = dlsym(RTLD_DEFAULT, "malloc_trim");
	*(void **)&real.usable = dlsym(RTLD_DEFAULT, "malloc_usable_size");
	*(void **)&real.sbrk = dlsym(RTLD_NEXT, "sbrk");
}

/* With huge pages in malloc the heaps of arenas have another length. */
static bool has_usual_heaps(void)
{
	const char *tunables = getenv("GLIBC_TUNABLES");

	return !tunables || !strstr(tunables, "hugetlb");
}

void pre_heap_load(void)
{
	find_real();
	is_libc = is_libc_malloc();
	heap_len_is_known = has_usual_heaps();
}

void pre_heap_start(void)
{
	if (!started) {
		if (!is_glibc_heap())
			return;
		started = true;
	}
	real.mallopt(M_TRIM_THRESHOLD, -1);
	real.mallopt(M_TOP_PAD, MAIN_STEP);
	real.mallopt(M_MMAP_THRESHOLD, MMAP_THRESHOLD);
	pre_got_patch();
}

void pre_heap_patch(void)
{
	if (started)
		pre_got_patch();
}

/* In the child of a fork: it has the heap, and nothing is registered. */
void pre_heap_forget(void)
{
	memset(heaps, 0, sizeof(heaps));
	atomic_store(&nextras, 0);
	atomic_store(&main_start, 0);
	atomic_store(&main_end, 0);
}
