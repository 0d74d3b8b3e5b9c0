// SPDX-License-Identifier: GPL-2.0-only
/*
 * Mappings of the file: memory whose fault handler can be stopped, and memory that no
 * device can be given.
 */
#include "client.h"

#include <linux/gfp.h>
#include <linux/mm.h>

/* The client's page, made when it is needed; no reference for the caller. */
static struct page *map_page(struct client *client, unsigned long index)
{
	struct page *page;

	mutex_lock(&client->pages_lock);
	page = client->pages[index];
	if (!page) {
		page = alloc_page(GFP_KERNEL | __GFP_ZERO);
		client->pages[index] = page;
	}
	mutex_unlock(&client->pages_lock);
	return page;
}

static unsigned long map_index(const struct vm_fault *vmf)
{
	return vmf->pgoff % MAP_NR_PAGES;
}

static vm_fault_t map_fault_normal(struct vm_fault *vmf)
{
	struct client *client = vmf->vma->vm_private_data;
	struct page *page;

	hook_stop(client, HMT_STEP_PAGE_FAULT);
	page = map_page(client, map_index(vmf));
	if (!page)
		return VM_FAULT_OOM;
	get_page(page);
	vmf->page = page;
	return 0;
}

static vm_fault_t map_fault_mixed(struct vm_fault *vmf)
{
	struct client *client = vmf->vma->vm_private_data;
	struct page *page;
	int err;

	hook_stop(client, HMT_STEP_PAGE_FAULT);
	page = map_page(client, map_index(vmf));
	if (!page)
		return VM_FAULT_OOM;
	err = vm_insert_page(vmf->vma, vmf->address, page);
	if (err == -ENOMEM)
		return VM_FAULT_OOM;
	/* EBUSY: somebody else was faster. */
	return !err || err == -EBUSY ? VM_FAULT_NOPAGE : VM_FAULT_SIGBUS;
}

static const struct vm_operations_struct map_normal_ops = {
	.fault = map_fault_normal,
};

static const struct vm_operations_struct map_mixed_ops = {
	.fault = map_fault_mixed,
};

static const struct vm_operations_struct map_pfnmap_ops = {
};

static int map_all_pfns(struct client *client, struct vm_area_struct *vma)
{
	unsigned long index = vma->vm_pgoff % MAP_NR_PAGES;
	unsigned long va;
	int err;

	for (va = vma->vm_start; va < vma->vm_end; va += PAGE_SIZE, index++) {
		struct page *page = map_page(client, index);

		if (!page)
			return -ENOMEM;
		err = remap_pfn_range(vma, va, page_to_pfn(page), PAGE_SIZE,
				      vma->vm_page_prot);
		if (err)
			return err;
	}
	return 0;
}

int map_mmap(struct client *client, struct vm_area_struct *vma)
{
	unsigned long index = vma->vm_pgoff % MAP_NR_PAGES;

	if (index + vma_pages(vma) > MAP_NR_PAGES)
		return -EINVAL;
	/* vma->vm_file keeps the client. */
	vma->vm_private_data = client;
	vm_flags_set(vma, VM_DONTEXPAND);
	switch ((vma->vm_pgoff - index) << PAGE_SHIFT) {
	case HMT_MMAP_NORMAL:
		vma->vm_ops = &map_normal_ops;
		return 0;
	case HMT_MMAP_MIXED:
		vm_flags_set(vma, VM_MIXEDMAP);
		vma->vm_ops = &map_mixed_ops;
		return 0;
	case HMT_MMAP_PFNMAP:
		if (!(vma->vm_flags & VM_SHARED))
			return -EINVAL;
		vma->vm_ops = &map_pfnmap_ops;
		return map_all_pfns(client, vma);
	default:
		return -EINVAL;
	}
}

void map_free(struct client *client)
{
	unsigned long i;

	for (i = 0; i < MAP_NR_PAGES; i++) {
		if (client->pages[i])
			put_page(client->pages[i]);
	}
}
