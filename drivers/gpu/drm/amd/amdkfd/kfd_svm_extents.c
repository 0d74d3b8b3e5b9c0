// SPDX-License-Identifier: GPL-2.0-only
/*
 * Extents of one GPU in one block: see kfd_svm_extents.h.
 */
#include "kfd_svm_extents.h"

bool kfd_svm_bits_any(const unsigned long *bits, unsigned int first,
		      unsigned int last)
{
	return find_next_bit(bits, last + 1, first) <= last;
}

/*
 * The next run of set bits in *first..limit (closed) as *first..*last.
 * Return: there is one. Go on from *last + 1.
 */
bool kfd_svm_bits_next_run(const unsigned long *bits, unsigned int *first,
			   unsigned int *last, unsigned int limit)
{
	if (*first > limit)
		return false;
	*first = find_next_bit(bits, limit + 1, *first);
	if (*first > limit)
		return false;
	*last = find_next_zero_bit(bits, limit + 1, *first) - 1;
	return true;
}

/* Index of the first extent that ends at or behind @page. */
static unsigned int extents_search(const struct kfd_svm_extents *exts,
				   unsigned int page)
{
	unsigned int low = 0, high = exts ? exts->nr : 0;

	while (low < high) {
		unsigned int mid = (low + high) / 2;

		if (kfd_svm_extent_last(&exts->ext[mid]) < page)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

/* The extent that describes @page, or NULL. */
struct kfd_svm_extent *kfd_svm_extent_find(const struct kfd_svm_mapping *map,
					   unsigned int page)
{
	unsigned int i = extents_search(map->exts, page);

	if (!map->exts || i == map->exts->nr || map->exts->ext[i].first > page)
		return NULL;
	return &map->exts->ext[i];
}

/*
 * The next run of mapped pages of one extent in *first..limit (closed).
 * Return: its extent, the run in *first..*last; NULL if there is none.
 */
struct kfd_svm_extent *
kfd_svm_mapping_next_run(const struct kfd_svm_mapping *map, unsigned int *first,
			 unsigned int *last, unsigned int limit)
{
	while (kfd_svm_bits_next_run(map->mapped, first, last, limit)) {
		struct kfd_svm_extent *ext = kfd_svm_extent_find(map, *first);

		if (!WARN_ON_ONCE(!ext)) {
			*last = min(*last, kfd_svm_extent_last(ext));
			return ext;
		}
		*first = *last + 1;
	}
	return NULL;
}

/* The next extent of the DMA run that @of belongs to, from index *i on. */
static struct kfd_svm_extent *
next_of_run(const struct kfd_svm_mapping *map, const struct kfd_svm_extent *of,
	    unsigned int *i)
{
	for (; *i < map->exts->nr; (*i)++) {
		struct kfd_svm_extent *ext = &map->exts->ext[*i];

		if (ext->first >= of->map_first + of->map_npages)
			break;
		if (ext->map_id == of->map_id)
			return ext;
	}
	return NULL;
}

/* Is a page of the DMA run that @of belongs to still mapped? */
bool kfd_svm_dma_run_in_use(const struct kfd_svm_mapping *map,
			    const struct kfd_svm_extent *of)
{
	unsigned int i = extents_search(map->exts, of->map_first);
	const struct kfd_svm_extent *ext;

	for (; (ext = next_of_run(map, of, &i)); i++)
		if (kfd_svm_bits_any(map->mapped, ext->first,
				     kfd_svm_extent_last(ext)))
			return true;
	return false;
}

void kfd_svm_dma_run_set_undone(const struct kfd_svm_mapping *map,
				const struct kfd_svm_extent *of)
{
	unsigned int i = extents_search(map->exts, of->map_first);
	struct kfd_svm_extent *ext;

	for (; (ext = next_of_run(map, of, &i)); i++)
		ext->flags |= KFD_SVM_EXT_UNDONE;
}

static void emit(struct kfd_svm_extents *out, unsigned int nr,
		 const struct kfd_svm_extent *ext, unsigned int first,
		 unsigned int last)
{
	out->ext[nr] = *ext;
	out->ext[nr].first = first;
	out->ext[nr].npages = last - first + 1;
}

/* Pieces of @ext outside @replace that still have a mapped page. */
static unsigned int merge_old(const struct kfd_svm_mapping *map,
			      const unsigned long *replace,
			      const struct kfd_svm_extent *ext,
			      struct kfd_svm_extents *out, unsigned int nr)
{
	unsigned int end = kfd_svm_extent_last(ext) + 1;
	unsigned int first = ext->first, next;

	while (first < end) {
		first = find_next_zero_bit(replace, end, first);
		if (first >= end)
			break;
		next = find_next_bit(replace, end, first);
		if (kfd_svm_bits_any(map->mapped, first, next - 1))
			emit(out, nr++, ext, first, next - 1);
		first = next;
	}
	return nr;
}

/*
 * Merge what @map has outside the pages of @replace with the @fresh extents,
 * which lie inside, into @out. There is room for one extent for each page.
 * Return: extents in the result.
 */
unsigned int kfd_svm_extents_merge(const struct kfd_svm_mapping *map,
				   const unsigned long *replace,
				   const struct kfd_svm_extent *fresh,
				   unsigned int nr_fresh,
				   struct kfd_svm_extents *out)
{
	const struct kfd_svm_extents *old = map->exts;
	unsigned int nr_old = old ? old->nr : 0;
	unsigned int i = 0, j = 0, nr = 0;

	/*
	 * An old extent may reach around fresh ones (its middle is replaced), so
	 * going by first page alone would put its tail before them.
	 */
	while (i < nr_old || j < nr_fresh) {
		const struct kfd_svm_extent *ext;
		struct kfd_svm_extent piece;

		if (i == nr_old) {
			emit(out, nr++, &fresh[j], fresh[j].first,
			     kfd_svm_extent_last(&fresh[j]));
			j++;
			continue;
		}
		ext = &old->ext[i];
		piece = *ext;
		while (j < nr_fresh && fresh[j].first <= kfd_svm_extent_last(ext)) {
			if (fresh[j].first > piece.first) {
				unsigned int last = kfd_svm_extent_last(ext);

				piece.npages = fresh[j].first - piece.first;
				nr = merge_old(map, replace, &piece, out, nr);
				piece.first = fresh[j].first;
				piece.npages = last - piece.first + 1;
			}
			emit(out, nr++, &fresh[j], fresh[j].first,
			     kfd_svm_extent_last(&fresh[j]));
			j++;
		}
		nr = merge_old(map, replace, &piece, out, nr);
		i++;
	}
	out->nr = nr;
	return nr;
}
