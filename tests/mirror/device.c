// SPDX-License-Identifier: GPL-2.0-only
/*
 * Device memory by what the mirror says of it: private and coherent, the client's own and
 * another's, huge, and side by side with RAM. That a pfn is right is asked of the device:
 * the page has the word that was written to the address.
 */
#include "devmem.h"
#include "zoo_mirror.h"

#define NPAGES 64
#define LEN (NPAGES * HMT_PAGE)

static char *at(char *p, size_t page)
{
	return p + page * HMT_PAGE;
}

static uint64_t word_of(const char *p)
{
	return (uintptr_t)p * 0x9e3779b97f4a7c15ULL | 1;
}

static void write_words(char *p, size_t npages)
{
	for (size_t i = 0; i < npages; i++)
		*(volatile uint64_t *)at(p, i) = word_of(at(p, i));
}

static void expect_words(char *p, size_t npages)
{
	for (size_t i = 0; i < npages; i++) {
		uint64_t word = *(volatile uint64_t *)at(p, i);

		hmt_check_that(word == word_of(at(p, i)), "page %zu has %#llx", i,
			       (unsigned long long)word);
	}
}

static char *map_with_words(size_t npages)
{
	char *p = hmt_map(npages * HMT_PAGE);

	write_words(p, npages);
	return p;
}

static int open_owner(uint64_t owner)
{
	int fd = hmt_open();

	hmt_ok(hmt_register(fd, owner));
	return fd;
}

/* A range over @npages from @p; 0: no request, a snapshot. */
static void look(int fd, uint32_t id, char *p, size_t npages, uint32_t req,
		 struct hmt_result *r)
{
	hmt_ok(hmt_range_add(fd, id, p, npages * HMT_PAGE));
	hmt_ok(req ? hmt_fault(fd, id, p, req, r) : hmt_snapshot(fd, id, p, r));
	hmt_check_extents(r->ext, r->get.nr, (uintptr_t)p, (uintptr_t)at(p, npages));
}

static void expect_flags(const struct hmt_result *r, const char *p, unsigned int flags)
{
	struct hmt_page page = hmt_page_of(r, p);

	/* A promise that need not be given. */
	page.flags &= ~(unsigned int)HMT_EXT_DIRTY;
	hmt_check_that(page.covered && page.flags == flags, "page at %p: flags %x, not %x",
		       (void *)(uintptr_t)p, page.flags, flags);
}

#define IN_RAM (HMT_EXT_VALID | HMT_EXT_WRITE)
#define IN_COHERENT (IN_RAM | HMT_EXT_DEVICE)
#define IN_PRIVATE (IN_COHERENT | HMT_EXT_PRIVATE)

static struct hmt_result r;

static void expect_own_private(int fd, uint32_t id, char *p, size_t npages)
{
	uint32_t owner_match = 0;

	for (size_t i = 0; i < npages; i++) {
		struct hmt_page page = hmt_page_of(&r, at(p, i));

		expect_flags(&r, at(p, i), IN_PRIVATE);
		hmt_check(dm_has(HMD_PRIVATE, page.pfn));
		hmt_expect(dm_peek(page.pfn), word_of(at(p, i)));
	}
	hmt_expect(hmt_extent_device(fd, id, 0, &owner_match), HMT_DEV_PRIVATE);
	hmt_check(owner_match);
}

static void device_own_private_stays_where_it_is(const void *arg)
{
	char *p;
	int fd;

	(void)arg;
	dm_need(HMD_PRIVATE);
	fd = open_owner(HMD_OWNER);
	p = map_with_words(NPAGES);
	dm_to_device_at(p, NPAGES, HMD_PRIVATE, 100);
	look(fd, 1, p, NPAGES, 0, &r);
	expect_own_private(fd, 1, p, NPAGES);
	/* Placed in order, it is one extent. */
	hmt_expect(r.get.nr, 1);
	for (uint32_t req = HMT_REQ_READ; req <= HMT_REQ_WRITE_IF_VMA; req <<= 1) {
		look(fd, 1 + req, p, NPAGES, req, &r);
		expect_own_private(fd, 1 + req, p, NPAGES);
	}
	/* Nothing of it was brought back but by this. */
	hmt_expect(dm_info(HMD_PRIVATE).nr_used, NPAGES);
	expect_words(p, NPAGES);
	hmt_expect(dm_info(HMD_PRIVATE).nr_used, 0);
	hmt_close(fd);
}

static void device_writes_to_private_memory_reach_the_cpu(const void *arg)
{
	char *p;
	int fd;

	(void)arg;
	dm_need(HMD_PRIVATE);
	fd = open_owner(HMD_OWNER);
	p = map_with_words(NPAGES);
	dm_to_device(p, NPAGES, HMD_PRIVATE);
	look(fd, 1, p, NPAGES, HMT_REQ_WRITE, &r);
	for (size_t i = 0; i < NPAGES; i++)
		dm_poke(hmt_page_of(&r, at(p, i)).pfn, ~word_of(at(p, i)));
	for (size_t i = 0; i < NPAGES; i++)
		hmt_expect(*(volatile uint64_t *)at(p, i), ~word_of(at(p, i)));
	hmt_close(fd);
}

/* Whose the memory is that comes back. */
struct foreign {
	unsigned int memory;
	uint64_t owner;
};

static const struct foreign other_owner = { HMD_PRIVATE_OTHER, HMD_OWNER };
static const struct foreign no_owner = { HMD_PRIVATE, 0 };

static void device_foreign_private_comes_back_by_a_fault(const void *arg)
{
	const struct foreign *f = arg;
	uint64_t faults, word;
	char *p;
	int fd;

	dm_need(f->memory);
	fd = open_owner(f->owner);
	p = map_with_words(NPAGES);
	dm_to_device(p, NPAGES, f->memory);
	faults = dm_info(f->memory).nr_faults;
	look(fd, 1, p, NPAGES, 0, &r);
	for (size_t i = 0; i < NPAGES; i++)
		expect_flags(&r, at(p, i), 0);
	hmt_expect(dm_info(f->memory).nr_faults, faults);

	/* Half of it: the rest stays. */
	look(fd, 2, p, NPAGES / 2, HMT_REQ_READ, &r);
	hmt_expect(dm_info(f->memory).nr_used, NPAGES / 2);
	hmt_expect(dm_info(f->memory).nr_faults, faults + NPAGES / 2);
	for (size_t i = 0; i < NPAGES / 2; i++) {
		expect_flags(&r, at(p, i), IN_RAM);
		hmt_ok(hmt_extents_read(fd, 2, at(p, i), &word, sizeof(word)));
		hmt_expect(word, word_of(at(p, i)));
	}
	expect_words(p, NPAGES);
	hmt_close(fd);
}

struct peer {
	char *p;
	int go[2];
};

/* Waits until it is told, and finds what was there before the fork. */
static void peer_main(void *arg)
{
	struct peer *peer = arg;
	char byte;

	close(peer->go[1]);
	hmt_check(read(peer->go[0], &byte, 1) == 0);
	expect_words(peer->p, NPAGES);
}

static void device_shared_private_is_read_only_until_it_is_copied(const void *arg)
{
	const uint64_t mine = 42;
	struct peer peer;
	uint64_t word;
	pid_t pid;
	char *p;
	int fd;

	(void)arg;
	dm_need(HMD_PRIVATE);
	fd = open_owner(HMD_OWNER);
	p = peer.p = map_with_words(NPAGES);
	dm_to_device(p, NPAGES, HMD_PRIVATE);
	hmt_check(!pipe(peer.go));
	pid = hmt_child(peer_main, &peer);
	/* To read it is no reason to bring it back. */
	for (uint32_t req = 0; req <= HMT_REQ_READ; req++) {
		look(fd, 1 + req, p, NPAGES, req, &r);
		for (size_t i = 0; i < NPAGES; i++)
			expect_flags(&r, at(p, i), IN_PRIVATE & ~HMT_EXT_WRITE);
	}
	hmt_expect(dm_info(HMD_PRIVATE).nr_used, NPAGES);

	/* To write it is: the first half, of which a copy is made. */
	look(fd, 3, p, NPAGES / 2, HMT_REQ_WRITE, &r);
	for (size_t i = 0; i < NPAGES / 2; i++) {
		expect_flags(&r, at(p, i), IN_RAM);
		hmt_ok(hmt_extents_read(fd, 3, at(p, i), &word, sizeof(word)));
		hmt_expect(word, word_of(at(p, i)));
		hmt_ok(hmt_extents_write(fd, 3, at(p, i), &mine, sizeof(mine)));
	}
	hmt_expect(dm_info(HMD_PRIVATE).nr_used, NPAGES / 2);
	for (size_t i = 0; i < NPAGES / 2; i++)
		hmt_expect(*(volatile uint64_t *)at(p, i), mine);
	look(fd, 4, at(p, NPAGES / 2), NPAGES / 2, 0, &r);
	for (size_t i = NPAGES / 2; i < NPAGES; i++)
		expect_flags(&r, at(p, i), IN_PRIVATE & ~HMT_EXT_WRITE);
	expect_words(at(p, NPAGES / 2), NPAGES / 2);

	/* Nobody else sees the write. */
	close(peer.go[1]);
	hmt_reap_ok(pid);
	hmt_close(fd);
}

static const unsigned int coherent_own = HMD_COHERENT, coherent_other = HMD_COHERENT_OTHER;

static void device_coherent_is_told_from_ram(const void *arg)
{
	unsigned int memory = *(const unsigned int *)arg;
	uint64_t word, mine = 7;
	uint32_t owner_match;
	char *p;
	int fd;

	dm_need(memory);
	fd = open_owner(HMD_OWNER);
	p = map_with_words(NPAGES);
	dm_to_device_at(p, NPAGES / 2, memory, 5);
	for (uint32_t req = 0; req <= HMT_REQ_WRITE; req++) {
		look(fd, 1 + req, p, NPAGES, req, &r);
		for (size_t i = 0; i < NPAGES; i++) {
			expect_flags(&r, at(p, i), i < NPAGES / 2 ? IN_COHERENT : IN_RAM);
			hmt_ok(hmt_extents_read(fd, 1 + req, at(p, i), &word,
						sizeof(word)));
			hmt_expect(word, word_of(at(p, i)));
		}
		hmt_expect(hmt_page_of(&r, p).pfn, dm_info(memory).first_pfn + 5);
		hmt_expect(hmt_ext_npages(&r.ext[0]), NPAGES / 2);
		hmt_expect(hmt_extent_device(fd, 1 + req, 0, &owner_match),
			   HMT_DEV_COHERENT);
		hmt_expect(owner_match, memory == HMD_COHERENT);
		hmt_expect(hmt_extent_device(fd, 1 + req, r.get.nr - 1, &owner_match),
			   HMT_DEV_NONE);
		hmt_check(!owner_match);
	}
	hmt_ok(hmt_extents_write(fd, 1 + HMT_REQ_WRITE, p, &mine, sizeof(mine)));
	hmt_expect(*(volatile uint64_t *)p, mine);
	hmt_expect(dm_peek(dm_info(memory).first_pfn + 5), mine);
	/* Neither the CPU nor the client made it leave. */
	hmt_expect(dm_info(memory).nr_used, NPAGES / 2);
	hmt_close(fd);
}

/* Which of the memories, or none. */
static unsigned int memory_of(uint64_t pfn)
{
	unsigned int memory = 0;

	while (memory < HMD_NR_MEMORIES && !dm_has(memory, pfn))
		memory++;
	return memory;
}

static bool move_one(char *p, unsigned int memory, unsigned int to, uint64_t offset)
{
	return dm_move(p, 1, memory, to, 0, offset) == 1;
}

#define NR_BORDERS 3

/*
 * Pages one behind the other in addresses and in memory: RAM, the first memory, the
 * second, RAM. Only what they are can tell them apart. A page of RAM that is wanted may be
 * in use; one of the two must be to be had.
 */
static void device_zoo_extents_end_where_memory_does(const void *arg)
{
	uint64_t last, first_pfn, pfn;
	bool have[NR_BORDERS];
	char *p;
	int fd;

	(void)arg;
	dm_need(HMD_COHERENT);
	fd = open_owner(HMD_OWNER);
	p = map_with_words(2 * NR_BORDERS);
	last = dm_info(HMD_COHERENT).npages - 1;
	first_pfn = dm_info(HMD_COHERENT).first_pfn;
	have[0] = move_one(at(p, 0), HMD_COHERENT, HMD_TO_BELOW, 0) &&
		  move_one(at(p, 1), HMD_COHERENT, HMD_TO_DEVICE, 0);
	have[1] = move_one(at(p, 2), HMD_COHERENT, HMD_TO_DEVICE, last) &&
		  move_one(at(p, 3), HMD_COHERENT_OTHER, HMD_TO_DEVICE, 0);
	have[2] = move_one(at(p, 4), HMD_COHERENT_OTHER, HMD_TO_DEVICE, last) &&
		  move_one(at(p, 5), HMD_COHERENT_OTHER, HMD_TO_ABOVE, 0);
	hmt_check(have[1] && (have[0] || have[2]));
	for (uint32_t i = 0; i < 6; i++) {
		zoo_set_walk(zoo_walks[i % 2]);
		look(fd, i, p, 2 * NR_BORDERS, i / 2, &r);
		for (size_t b = 0; b < NR_BORDERS; b++) {
			if (!have[b])
				continue;
			pfn = hmt_page_of(&r, at(p, 2 * b)).pfn;
			hmt_expect(pfn, first_pfn - 1 + (last + 1) * b);
			hmt_expect(hmt_page_of(&r, at(p, 2 * b + 1)).pfn, pfn + 1);
			hmt_check(memory_of(pfn) != memory_of(pfn + 1));
			expect_flags(&r, at(p, 2 * b), b ? IN_COHERENT : IN_RAM);
			expect_flags(&r, at(p, 2 * b + 1), b == 2 ? IN_RAM : IN_COHERENT);
		}
		for (uint32_t e = 0; e < r.get.nr; e++) {
			pfn = hmt_ext_pfn(&r.ext[e]);
			hmt_expect(memory_of(pfn),
				   memory_of(pfn + hmt_ext_npages(&r.ext[e]) - 1));
		}
	}
	expect_words(p, 2 * NR_BORDERS);
	hmt_close(fd);
}

#define MIX_NPAGES 512UL
#define MIX_NR_ROUNDS 8

/* What a page of the mix is, and what may be said of it. */
enum kind { KIND_HOLE, KIND_RAM, KIND_OWN, KIND_OTHER, KIND_COHERENT, KIND_COHERENT_OTHER,
	    NR_KINDS };

static const struct {
	unsigned int memory;
	unsigned int flags;
} mix[NR_KINDS] = {
	[KIND_HOLE] = { HMD_NR_MEMORIES, 0 },
	[KIND_RAM] = { HMD_NR_MEMORIES, IN_RAM },
	[KIND_OWN] = { HMD_PRIVATE, IN_PRIVATE },
	[KIND_OTHER] = { HMD_PRIVATE_OTHER, 0 },
	[KIND_COHERENT] = { HMD_COHERENT, IN_COHERENT },
	[KIND_COHERENT_OTHER] = { HMD_COHERENT_OTHER, IN_COHERENT },
};

static void make_mix(char *p, enum kind *kinds)
{
	for (size_t i = 0, n; i < MIX_NPAGES; i += n) {
		enum kind kind = hmt_random_below(NR_KINDS);

		if (mix[kind].memory < HMD_NR_MEMORIES && dm_missing(mix[kind].memory))
			kind = KIND_RAM;
		n = 1 + hmt_random_below(20);
		n = n < MIX_NPAGES - i ? n : MIX_NPAGES - i;
		for (size_t k = 0; k < n; k++)
			kinds[i + k] = kind;
		if (kind == KIND_HOLE)
			continue;
		write_words(at(p, i), n);
		if (mix[kind].memory < HMD_NR_MEMORIES)
			dm_to_device(at(p, i), n, mix[kind].memory);
	}
}

static void expect_mix(char *p, const enum kind *kinds, bool faulted)
{
	for (size_t i = 0; i < MIX_NPAGES; i++) {
		struct hmt_page page = hmt_page_of(&r, at(p, i));
		unsigned int memory = mix[kinds[i]].memory;

		if (faulted && (kinds[i] == KIND_HOLE || kinds[i] == KIND_OTHER)) {
			expect_flags(&r, at(p, i), IN_RAM);
			continue;
		}
		expect_flags(&r, at(p, i), mix[kinds[i]].flags);
		if (page.flags & HMT_EXT_DEVICE) {
			hmt_check(dm_has(memory, page.pfn));
			hmt_expect(dm_peek(page.pfn), word_of(at(p, i)));
		} else if (page.flags & HMT_EXT_VALID) {
			hmt_expect(page.pfn, hmt_pagemap(at(p, i)) & HMT_PM_PFN);
		}
	}
	/* Also where chance has put neighbours side by side in memory. */
	for (uint32_t e = 0; e < r.get.nr; e++) {
		uint64_t pfn = hmt_ext_pfn(&r.ext[e]);

		if (hmt_ext_flags(&r.ext[e]) & HMT_EXT_VALID)
			hmt_expect(memory_of(pfn),
				   memory_of(pfn + hmt_ext_npages(&r.ext[e]) - 1));
	}
}

static void device_mix_within_2_mib(const void *arg)
{
	static enum kind kinds[MIX_NPAGES];
	char *p;
	int fd;

	(void)arg;
	if (dm_missing(HMD_PRIVATE))
		dm_need(HMD_COHERENT);
	fd = open_owner(HMD_OWNER);
	for (uint32_t round = 0; round < MIX_NR_ROUNDS; round++) {
		p = hmt_map(MIX_NPAGES * HMT_PAGE);
		make_mix(p, kinds);
		look(fd, 3 * round, p, MIX_NPAGES, 0, &r);
		expect_mix(p, kinds, false);
		look(fd, 3 * round + 1, p, MIX_NPAGES, HMT_REQ_WRITE, &r);
		expect_mix(p, kinds, true);
		look(fd, 3 * round + 2, p, MIX_NPAGES, 0, &r);
		expect_mix(p, kinds, true);
		hmt_check(!munmap(p, MIX_NPAGES * HMT_PAGE));
	}
	hmt_close(fd);
}

static char *map_huge_with_words(void)
{
	char *p;

	dm_need(HMD_PRIVATE);
	if (!dm_have_huge())
		hmt_skip("huge pages do not go to devices on this kernel");
	p = hmt_map_thp(HMT_HUGE);
	write_words(p, HMT_HUGE / HMT_PAGE);
	return p;
}

static void move_huge(char *p, unsigned int memory)
{
	hmt_expect(dm_move(p, HMT_HUGE / HMT_PAGE, memory, HMD_TO_DEVICE, HMD_HUGE,
			   HMD_ANYWHERE), (long)(HMT_HUGE / HMT_PAGE));
}

/* Wherever the range begins in it, the pfns are those of its pages. */
static void device_own_huge_page_has_the_right_pfns(const void *arg)
{
	static const size_t first[] = { 0, 1, 7, 255, 256, 511 };
	char *p = map_huge_with_words();
	int fd = open_owner(HMD_OWNER);
	uint32_t id = 1;

	(void)arg;
	move_huge(p, HMD_PRIVATE);
	for (size_t i = 0; i < HMT_COUNT(first); i++) {
		for (uint32_t req = 0; req <= HMT_REQ_WRITE; req++) {
			look(fd, id++, at(p, first[i]), 512 - first[i], req, &r);
			hmt_expect(r.get.nr, 1);
			hmt_check(hmt_ext_flags(&r.ext[0]) == (IN_PRIVATE | HMT_EXT_HUGE));
			for (size_t k = first[i]; k < 512; k++)
				hmt_expect(dm_peek(hmt_page_of(&r, at(p, k)).pfn),
					   word_of(at(p, k)));
		}
	}
	hmt_expect(dm_info(HMD_PRIVATE).nr_used, 512);
	expect_words(p, 512);
	hmt_expect(dm_info(HMD_PRIVATE).nr_used, 0);
	hmt_close(fd);
}

static void device_foreign_huge_page_comes_back_by_a_fault(const void *arg)
{
	char *p = map_huge_with_words();
	int fd = open_owner(HMD_OWNER);
	uint64_t word;

	(void)arg;
	move_huge(p, HMD_PRIVATE_OTHER);
	look(fd, 1, at(p, 100), 300, 0, &r);
	hmt_expect(r.get.nr, 1);
	hmt_expect(hmt_ext_flags(&r.ext[0]), 0);
	look(fd, 2, at(p, 100), 300, HMT_REQ_READ, &r);
	for (size_t i = 100; i < 400; i++) {
		hmt_check(hmt_page_of(&r, at(p, i)).flags & HMT_EXT_VALID);
		hmt_check(!(hmt_page_of(&r, at(p, i)).flags & HMT_EXT_DEVICE));
		hmt_ok(hmt_extents_read(fd, 2, at(p, i), &word, sizeof(word)));
		hmt_expect(word, word_of(at(p, i)));
	}
	expect_words(p, 512);
	hmt_close(fd);
}

/* The firmware called it usable: a reserved hole would not behave like memory. */
static void device_coherent_memory_was_ram(const void *arg)
{
	uint64_t first, last, low, high;
	bool found = false;
	char line[512];
	FILE *f;

	(void)arg;
	dm_need(HMD_COHERENT);
	first = dm_info(HMD_COHERENT).first_pfn * HMT_PAGE;
	last = first + 2 * dm_info(HMD_COHERENT).npages * HMT_PAGE - 1;
	f = popen("dmesg", "r");
	hmt_check(f);
	while (fgets(line, sizeof(line), f)) {
		char *e820 = strstr(line, "BIOS-e820: [mem ");

		/* In the words of one kernel or the other. */
		if (!e820 || !(strstr(e820, "] usable") || strstr(e820, "]  System RAM")))
			continue;
		hmt_check(sscanf(e820, "BIOS-e820: [mem %llx-%llx]",
				 (unsigned long long *)&low,
				 (unsigned long long *)&high) == 2);
		found |= low <= first && high >= last;
	}
	pclose(f);
	hmt_check_that(found, "%#llx..%#llx is no RAM by e820", (unsigned long long)first,
		       (unsigned long long)last);
	hmt_check(first >= 4ULL << 30);
}

static const struct hmt_case cases[] = {
	HMT_CASE(device_own_private_stays_where_it_is, HMT_LONG),
	HMT_CASE(device_writes_to_private_memory_reach_the_cpu, HMT_LONG),
	HMT_VARIANT(device_foreign_private_comes_back_by_a_fault, other, &other_owner,
		    HMT_LONG),
	HMT_VARIANT(device_foreign_private_comes_back_by_a_fault, no_owner, &no_owner,
		    HMT_LONG),
	HMT_CASE(device_shared_private_is_read_only_until_it_is_copied, HMT_LONG),
	HMT_VARIANT(device_coherent_is_told_from_ram, own, &coherent_own, HMT_LONG),
	HMT_VARIANT(device_coherent_is_told_from_ram, other, &coherent_other, HMT_LONG),
	HMT_CASE(device_zoo_extents_end_where_memory_does, HMT_LONG),
	HMT_CASE(device_mix_within_2_mib, HMT_LONG),
	HMT_CASE(device_own_huge_page_has_the_right_pfns, HMT_LONG),
	HMT_CASE(device_foreign_huge_page_comes_back_by_a_fault, HMT_LONG),
	HMT_CASE(device_coherent_memory_was_ram, HMT_LONG),
};

HMT_GROUP(cases);
