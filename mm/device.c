// SPDX-License-Identifier: GPL-2.0-only
/*
 * What sort of memory a pfn is.
 *
 * A walk knows pfns and holds no page, so until the sequence has been checked a pfn's
 * struct page may be gone with its device. What is asked here is asked by number: of
 * the section and of the device's pgmap.
 */
#include "walk.h"
#include "internal.h"

#include <linux/bitmap.h>
#include <linux/kfdsvm_compat.h>
#include <linux/memory.h>
#include <linux/memory_hotplug.h>
#include <linux/memremap.h>
#include <linux/mmzone.h>
#include <linux/notifier.h>
#include <linux/spinlock.h>

static_assert(HMM_MIRROR_SECTION_SHIFT == SECTION_SIZE_BITS);
static_assert(HMM_MIRROR_SUBSECTION_NPAGES == PAGES_PER_SUBSECTION);

/* Bits that are set are right; written under ram_lock, read without. */
DECLARE_BITMAP(hmm_mirror_ram_sections, HMM_MIRROR_NR_SECTIONS);
static DEFINE_RAW_SPINLOCK(ram_lock);

static struct dev_pagemap *get_pgmap(unsigned long pfn)
{
#ifdef HMM_MIRROR_PGMAP_HINT
	return get_dev_pagemap(pfn, NULL);
#else
	return get_dev_pagemap(pfn);
#endif
}

static enum hmm_mirror_device device_of(const struct dev_pagemap *pgmap)
{
	switch (pgmap->type) {
	case MEMORY_DEVICE_PRIVATE:
		return HMM_MIRROR_DEVICE_PRIVATE;
	case MEMORY_DEVICE_COHERENT:
		return HMM_MIRROR_DEVICE_COHERENT;
	case MEMORY_DEVICE_FS_DAX:
	case MEMORY_DEVICE_GENERIC:
		return HMM_MIRROR_DEVICE_DAX;
	default:
		return HMM_MIRROR_DEVICE_PEER;
	}
}

/* @owner may be NULL, also when it is not wanted. */
static enum hmm_mirror_device device_of_pfn(unsigned long pfn, void **owner)
{
	enum hmm_mirror_device device = HMM_MIRROR_DEVICE_PEER;
	struct dev_pagemap *pgmap = get_pgmap(pfn);

	*owner = NULL;
	if (pgmap) {
		device = device_of(pgmap);
		*owner = pgmap->owner;
		put_dev_pagemap(pgmap);
	}
	return device;
}

/* A page of a device's memory: does the CPU, and so every other device, reach it as RAM? */
bool hmm_mirror_is_shared_device(unsigned long pfn)
{
	void *owner;

	switch (device_of_pfn(pfn, &owner)) {
	case HMM_MIRROR_DEVICE_DAX:
	case HMM_MIRROR_DEVICE_COHERENT:
		return true;
	default:
		return false;
	}
}

/* Device memory comes and goes in whole subsections. Private memory is the owner's only. */
static unsigned int ask_subsection(struct hmm_mirror_classes *classes,
				   unsigned long pfn)
{
	void *owner;

	classes->subsection = pfn / PAGES_PER_SUBSECTION;
	classes->subsection_flags = 0;
	if (!pfn_to_online_page(pfn)) {
		classes->subsection_flags = HMM_MIRROR_EXT_DEVICE;
		if (classes->owner &&
		    device_of_pfn(pfn, &owner) == HMM_MIRROR_DEVICE_PRIVATE &&
		    owner == classes->owner)
			classes->subsection_flags |= HMM_MIRROR_EXT_PRIVATE;
	}
	return classes->subsection_flags;
}

/* A device can be added to a section only where something is missing. */
static bool is_full_of_ram(struct mem_section *section)
{
	return section && online_section(section) &&
	       !online_device_section(section) &&
	       bitmap_full(section->usage->subsection_map, SUBSECTIONS_PER_SECTION);
}

/*
 *   hmm_mirror_classes_ask()            memory goes offline
 *                                         section is marked offline
 *                                         on_memory_event()
 *     lock                                  lock
 *     online? full? note it                 forget it
 *     unlock                                unlock
 *                                         section may be removed, a device may come
 *
 * Either order leaves nothing noted of a section that is not online. A pfn of it that is
 * being looked at was read from an entry that is gone by now: the sequence says so.
 */
unsigned int hmm_mirror_classes_ask(struct hmm_mirror_classes *classes,
				    unsigned long pfn)
{
	unsigned long nr = pfn_to_section_nr(pfn), flags;
	bool is_ram;

	if (hmm_mirror_is_ram(classes->ram, PFN_PHYS(pfn)))
		return 0;
	if (pfn / PAGES_PER_SUBSECTION == classes->subsection)
		return classes->subsection_flags;
	if (nr >= min(NR_MEM_SECTIONS, HMM_MIRROR_NR_SECTIONS))
		return ask_subsection(classes, pfn);

	raw_spin_lock_irqsave(&ram_lock, flags);
	is_ram = is_full_of_ram(__nr_to_section(nr));
	if (is_ram)
		__set_bit(nr, hmm_mirror_ram_sections);
	raw_spin_unlock_irqrestore(&ram_lock, flags);
	return is_ram ? 0 : ask_subsection(classes, pfn);
}

static int on_memory_event(struct notifier_block *block, unsigned long action,
			   void *data)
{
	const struct memory_notify *memory = data;
	unsigned long nr = pfn_to_section_nr(memory->start_pfn), flags;
	unsigned long end_nr = pfn_to_section_nr(memory->start_pfn +
						 memory->nr_pages - 1) + 1;

	if (action != MEM_OFFLINE)
		return NOTIFY_DONE;
	end_nr = min(end_nr, HMM_MIRROR_NR_SECTIONS);
	raw_spin_lock_irqsave(&ram_lock, flags);
	for (; nr < end_nr; nr++)
		__clear_bit(nr, hmm_mirror_ram_sections);
	raw_spin_unlock_irqrestore(&ram_lock, flags);
	return NOTIFY_OK;
}

static struct notifier_block memory_block = {
	.notifier_call = on_memory_event,
};

int __init hmm_mirror_device_init(void)
{
	return register_memory_notifier(&memory_block);
}

void hmm_mirror_device_exit(void)
{
	unregister_memory_notifier(&memory_block);
}

/**
 * hmm_mirror_extent_device - what sort of device memory is this?
 * @range: a registered range that is valid
 * @ext: a VALID extent of it
 * @owner: set to dev_pagemap.owner, or NULL when there is none
 *
 * An extent never spans two devices, so the answer holds for all of it.
 *
 * Context: update lock held, range valid: the memory cannot go before it is released.
 *
 * Return: HMM_MIRROR_DEVICE_NONE if it is RAM.
 */
enum hmm_mirror_device
hmm_mirror_extent_device(const struct hmm_mirror_range *range,
			 const struct hmm_mirror_extent *ext, void **owner)
{
	lockdep_assert_held(range->mirror->update_lock);

	*owner = NULL;
	if (!(ext->va_flags & HMM_MIRROR_EXT_DEVICE))
		return HMM_MIRROR_DEVICE_NONE;
	return device_of_pfn(hmm_mirror_extent_pfn(ext), owner);
}
EXPORT_SYMBOL_NS_GPL(hmm_mirror_extent_device, HMM_MIRROR);
