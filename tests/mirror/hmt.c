// SPDX-License-Identifier: GPL-2.0-only
/* The calls of /dev/hmm_mirror_test. */
#include <fcntl.h>
#include <sys/ioctl.h>

#include "hmt.h"

#define MAX_CLIENTS 64

/* Open clients, one more than the descriptor, so that 0 is none. */
static int clients[MAX_CLIENTS];
static pthread_mutex_t clients_lock = PTHREAD_MUTEX_INITIALIZER;

void hmt_check_clients(void);

static int call(int fd, unsigned long cmd, void *arg)
{
	return ioctl(fd, cmd, arg) < 0 ? -errno : 0;
}

static void replace_client(int from, int to)
{
	pthread_mutex_lock(&clients_lock);
	for (int i = 0; i < MAX_CLIENTS; i++) {
		if (clients[i] == from) {
			clients[i] = to;
			break;
		}
	}
	pthread_mutex_unlock(&clients_lock);
}

int hmt_open(void)
{
	int fd = open(HMT_DEVICE, O_RDWR | O_CLOEXEC);

	hmt_check_that(fd >= 0, "open %s: errno %d", HMT_DEVICE, errno);
	replace_client(0, fd + 1);
	return fd;
}

int hmt_open_registered(void)
{
	int fd = hmt_open();

	hmt_ok(hmt_register(fd, 0));
	return fd;
}

static void check_client(int fd)
{
	struct hmt_stats s = hmt_stats(fd);

	hmt_check_that(!s.nr_hook_timeouts, "%llu calls were stopped until they gave up",
		       (unsigned long long)s.nr_hook_timeouts);
	hmt_check_that(!s.nr_unseen, "%llu pages changed below the device, unseen",
		       (unsigned long long)s.nr_unseen);
	hmt_check_that(s.nr_release_calls <= 1, "release was called %llu times",
		       (unsigned long long)s.nr_release_calls);
}

void hmt_forget(int fd)
{
	replace_client(fd + 1, 0);
}

void hmt_close(int fd)
{
	check_client(fd);
	hmt_forget(fd);
	hmt_check(!close(fd));
}

void hmt_check_clients(void)
{
	for (int i = 0; i < MAX_CLIENTS; i++) {
		if (clients[i])
			check_client(clients[i] - 1);
	}
}

int hmt_target(int fd, pid_t pid)
{
	struct hmt_target t = { .pid = pid };

	return call(fd, HMT_TARGET, &t);
}

int hmt_register(int fd, uint64_t owner)
{
	struct hmt_register r = { .owner = owner };

	return call(fd, HMT_REGISTER, &r);
}

int hmt_unregister(int fd)
{
	return call(fd, HMT_UNREGISTER, NULL);
}

int hmt_watch(int fd, const void *p, size_t len)
{
	struct hmt_va_span s = { .first_va = (uintptr_t)p, .last_va = (uintptr_t)p + len - 1 };

	return call(fd, HMT_WATCH, &s);
}

int hmt_range_add(int fd, uint32_t id, const void *p, size_t len)
{
	struct hmt_range r = {
		.id = id, .first_va = (uintptr_t)p, .last_va = (uintptr_t)p + len - 1,
	};

	return call(fd, HMT_RANGE_ADD, &r);
}

int hmt_range_del(int fd, uint32_t id)
{
	struct hmt_range r = { .id = id };

	return call(fd, HMT_RANGE_DEL, &r);
}

int hmt_valid(int fd, uint32_t id)
{
	uint8_t state = 0;
	struct hmt_valid v = { .first = id, .nr = 1, .states = (uintptr_t)&state };
	int err = call(fd, HMT_VALID, &v);

	if (err)
		return err;
	return state == 2 ? -ENOENT : state;
}

int hmt_wait(int fd, uint32_t id, uint32_t timeout_ms)
{
	struct hmt_wait w = { .range = id, .timeout_ms = timeout_ms };

	return call(fd, HMT_WAIT, &w);
}

int hmt_mmap_read_lock(int fd, bool worker)
{
	struct hmt_mode m = { .worker = worker };

	return call(fd, HMT_MMAP_READ_LOCK, &m);
}

int hmt_get(int fd, struct hmt_result *r)
{
	if (!r->get.nr_max)
		r->get.nr_max = HMT_MAX_EXTENTS;
	r->get.extents = r->get.flags & HMT_GET_ASYNC ? 0 : (uintptr_t)r->ext;
	return call(fd, HMT_GET, &r->get);
}

static int get(int fd, struct hmt_result *r, uint32_t id, const void *from, uint32_t flags,
	       uint32_t req)
{
	struct hmt_result *own = NULL;
	int err;

	if (!r) {
		r = own = malloc(sizeof(*r));
		hmt_check(r);
	}
	r->get = (struct hmt_get) {
		.range = id, .flags = flags, .default_req = req, .next_va = (uintptr_t)from,
	};
	err = hmt_get(fd, r);
	free(own);
	return err;
}

int hmt_snapshot(int fd, uint32_t id, const void *from, struct hmt_result *r)
{
	return get(fd, r, id, from, HMT_GET_SNAPSHOT, 0);
}

int hmt_fault(int fd, uint32_t id, const void *from, uint32_t req, struct hmt_result *r)
{
	return get(fd, r, id, from, 0, req);
}

int hmt_get_wait(int fd, uint32_t id, uint32_t timeout_ms, struct hmt_result *r)
{
	r->get.range = id;
	r->get.nr_max = HMT_MAX_EXTENTS;
	r->get.timeout_ms = timeout_ms;
	r->get.extents = (uintptr_t)r->ext;
	return call(fd, HMT_GET_WAIT, &r->get);
}

int hmt_last_extents(int fd, uint32_t id, struct hmt_result *r)
{
	r->get = (struct hmt_get) {
		.range = id, .nr_max = HMT_MAX_EXTENTS, .extents = (uintptr_t)r->ext,
	};
	return call(fd, HMT_EXTENTS, &r->get);
}

int hmt_map_in_device(int fd, uint32_t id, const void *p, size_t len, uint32_t req)
{
	struct hmt_get g = {
		.range = id, .flags = HMT_GET_COMMIT, .default_req = req,
		.nr_max = 256, .next_va = (uintptr_t)p,
	};
	int err = 0;

	while (!err && g.next_va < (uintptr_t)p + len)
		err = call(fd, HMT_GET, &g);
	return err;
}

struct hmt_page hmt_page_in(const struct hmt_extent *ext, uint32_t nr, const void *p)
{
	struct hmt_page page = { };

	for (uint32_t i = 0; i < nr; i++) {
		uint64_t index = ((uintptr_t)p - hmt_ext_va(&ext[i])) / HMT_PAGE;

		if ((uintptr_t)p < hmt_ext_va(&ext[i]) || index >= hmt_ext_npages(&ext[i]))
			continue;
		page.covered = true;
		page.flags = hmt_ext_flags(&ext[i]);
		if (page.flags & HMT_EXT_ZERO)
			page.pfn = hmt_ext_pfn(&ext[i]);
		else if (page.flags & HMT_EXT_VALID)
			page.pfn = hmt_ext_pfn(&ext[i]) + index;
		else if (page.flags & HMT_EXT_ERROR)
			page.err = (int)hmt_ext_pfn(&ext[i]);
		break;
	}
	return page;
}

struct hmt_page hmt_page_of(const struct hmt_result *r, const void *p)
{
	return hmt_page_in(r->ext, r->get.nr, p);
}

void hmt_check_extents(const struct hmt_extent *ext, uint32_t nr, uint64_t from,
		       uint64_t end)
{
	uint64_t va = from;

	for (uint32_t i = 0; i < nr; i++) {
		unsigned int flags = hmt_ext_flags(&ext[i]);

		hmt_check_that(hmt_ext_va(&ext[i]) == va, "extent %u begins at %llx, not %llx",
			       i, (unsigned long long)hmt_ext_va(&ext[i]),
			       (unsigned long long)va);
		hmt_check(hmt_ext_npages(&ext[i]));
		hmt_check(!((flags & HMT_EXT_VALID) && (flags & HMT_EXT_ERROR)));
		if (!(flags & HMT_EXT_VALID))
			hmt_check_that(!(flags & ~HMT_EXT_ERROR), "flags %x of no memory",
				       flags);
		va += hmt_ext_npages(&ext[i]) * HMT_PAGE;
	}
	hmt_check_that(va == end, "extents end at %llx, not %llx", (unsigned long long)va,
		       (unsigned long long)end);
}

int hmt_commit(int fd, uint32_t id)
{
	struct hmt_commit c = { .range = id };

	return call(fd, HMT_COMMIT, &c);
}

static int access_bytes(int fd, uint32_t flags, uint32_t id, const void *p, const void *data,
			size_t len)
{
	struct hmt_access a = {
		.va = (uintptr_t)p, .data = (uintptr_t)data, .len = (uint32_t)len,
		.flags = flags, .range = id,
	};

	return call(fd, HMT_ACCESS, &a);
}

int hmt_device_read(int fd, const void *p, void *data, size_t len)
{
	return access_bytes(fd, 0, 0, p, data, len);
}

int hmt_device_write(int fd, const void *p, const void *data, size_t len)
{
	return access_bytes(fd, HMT_ACCESS_WRITE, 0, p, data, len);
}

int hmt_extents_read(int fd, uint32_t id, const void *p, void *data, size_t len)
{
	return access_bytes(fd, HMT_ACCESS_EXTENTS, id, p, data, len);
}

int hmt_extents_write(int fd, uint32_t id, const void *p, const void *data, size_t len)
{
	return access_bytes(fd, HMT_ACCESS_EXTENTS | HMT_ACCESS_WRITE, id, p, data, len);
}

uint64_t hmt_device_page(int fd, const void *p)
{
	uint64_t page = 0;
	struct hmt_device_pages d = {
		.first_va = (uintptr_t)p & ~(HMT_PAGE - 1), .npages = 1,
		.pages = (uintptr_t)&page,
	};

	hmt_ok(call(fd, HMT_DEVICE_PAGES, &d));
	return page;
}

struct hmt_stats hmt_stats(int fd)
{
	struct hmt_stats s = { };

	hmt_ok(call(fd, HMT_STATS, &s));
	return s;
}

size_t hmt_device_nr_pages(int fd)
{
	return hmt_stats(fd).nr_device_pages;
}

int hmt_extent_device(int fd, uint32_t id, uint32_t index, uint32_t *owner_match)
{
	struct hmt_extent_device d = { .range = id, .index = index };
	int err = call(fd, HMT_EXTENT_DEVICE, &d);

	if (owner_match)
		*owner_match = d.owner_match;
	return err ? err : (int)d.kind;
}

int hmt_dma_map(int fd, struct hmt_dma *dma)
{
	return call(fd, HMT_DMA, dma);
}

uint64_t hmt_log_next(int fd)
{
	struct hmt_log l = { };

	hmt_ok(call(fd, HMT_LOG, &l));
	return l.total;
}

size_t hmt_log(int fd, uint64_t from, struct hmt_event *events, size_t max)
{
	struct hmt_log l = {
		.from = from, .events = (uintptr_t)events, .nr_max = (uint32_t)max,
	};

	hmt_ok(call(fd, HMT_LOG, &l));
	return l.nr;
}

bool hmt_log_has(int fd, uint64_t from, uint32_t kind, const void *p, size_t len)
{
	static struct hmt_event events[4096];
	size_t nr = hmt_log(fd, from, events, HMT_COUNT(events));

	for (size_t i = 0; i < nr; i++) {
		if ((kind == HMT_NONE || events[i].kind == kind) &&
		    events[i].start_va < (uintptr_t)p + len &&
		    events[i].end_va > (uintptr_t)p)
			return true;
	}
	return false;
}

int hmt_view(int fd, const void *p, size_t len, struct hmt_view *v,
	     struct hmt_extent **ext, uint64_t **pages)
{
	size_t npages = len / HMT_PAGE;

	*ext = calloc(npages + 1, sizeof(**ext));
	*pages = calloc(npages, sizeof(**pages));
	hmt_check(*ext && *pages);
	v->first_va = (uintptr_t)p;
	v->last_va = (uintptr_t)p + len - 1;
	v->extents = (uintptr_t)*ext;
	v->pages = (uintptr_t)*pages;
	v->nr_max = (uint32_t)npages + 1;
	return call(fd, HMT_VIEW, v);
}

/* What our page would be in the kernel's words; no errno. */
static uint64_t as_kernel_page(const struct hmt_page *page)
{
	if (page->flags & HMT_EXT_ERROR)
		return HMT_VIEW_ERROR;
	if (!(page->flags & HMT_EXT_VALID))
		return 0;
	return HMT_VIEW_VALID | page->pfn |
	       (page->flags & HMT_EXT_WRITE ? HMT_VIEW_WRITE : 0);
}

size_t hmt_compare(const struct hmt_view *v, const struct hmt_extent *ext,
		   const uint64_t *pages, char *why, size_t why_len)
{
	const uint64_t mask = HMT_EXT_PFN | HMT_VIEW_VALID | HMT_VIEW_WRITE | HMT_VIEW_ERROR;
	size_t npages = (v->last_va + 1 - v->first_va) / HMT_PAGE, bad = 0;
	uint32_t i = 0;

	hmt_check_extents(ext, v->nr, v->first_va, v->last_va + 1);
	for (size_t n = 0; n < npages; n++) {
		uint64_t va = v->first_va + n * HMT_PAGE, order;
		struct hmt_page page;
		bool huge;

		while (va >= hmt_ext_va(&ext[i]) + hmt_ext_npages(&ext[i]) * HMT_PAGE)
			i++;
		page = hmt_page_in(&ext[i], 1, (void *)(uintptr_t)va);
		order = pages[n] >> HMT_VIEW_ORDER_SHIFT & 0xff;
		huge = (pages[n] & HMT_VIEW_VALID) && order >= 9;
		if (as_kernel_page(&page) == (pages[n] & mask) &&
		    huge == !!(page.flags & HMT_EXT_HUGE))
			continue;
		if (!bad++)
			snprintf(why, why_len,
				 "page %zu at %llx: flags %x pfn %llx errno %d, the kernel %016llx",
				 n, (unsigned long long)va, page.flags,
				 (unsigned long long)page.pfn, page.err,
				 (unsigned long long)pages[n]);
	}
	return bad;
}

void hmt_check_same(int fd, const void *p, size_t len, uint32_t flags, uint32_t kernel,
		    uint32_t req)
{
	struct hmt_view v = { .flags = flags, .kernel = kernel, .default_req = req };
	struct hmt_extent *ext;
	uint64_t *pages;
	char why[256];
	size_t bad;

	hmt_ok(hmt_view(fd, p, len, &v, &ext, &pages));
	bad = hmt_compare(&v, ext, pages, why, sizeof(why));
	hmt_check_that(!bad, "%zu pages differ, first %s", bad, why);
	free(ext);
	free(pages);
}

void hmt_hook_arm(int fd, uint32_t step, uint32_t count, uint32_t flags)
{
	struct hmt_hook h = { .step = step, .count = count, .flags = flags };

	hmt_ok(call(fd, HMT_HOOK_ARM, &h));
}

void hmt_hook_wait(int fd, uint32_t step, uint32_t count)
{
	struct hmt_hook h = { .step = step, .count = count, .timeout_ms = HMT_WAIT_MS };
	int err = call(fd, HMT_HOOK_WAIT, &h);

	hmt_check_that(!err, "nobody came to step %u: %d", step, err);
}

bool hmt_hook_is_reached(int fd, uint32_t step)
{
	struct hmt_hook h = { .step = step, .count = 1, .timeout_ms = HMT_QUIET_MS };

	return !call(fd, HMT_HOOK_WAIT, &h);
}

void hmt_hook_release(int fd, uint32_t step)
{
	struct hmt_hook h = { .step = step };

	hmt_ok(call(fd, HMT_HOOK_RELEASE, &h));
}

int hmt_hold_update_lock(int fd)
{
	return call(fd, HMT_HOLD_UPDATE_LOCK, NULL);
}

int hmt_hold_mmap_write(int fd)
{
	return call(fd, HMT_HOLD_MMAP_WRITE, NULL);
}

int hmt_hold_task(int fd)
{
	return call(fd, HMT_HOLD_TASK, NULL);
}
