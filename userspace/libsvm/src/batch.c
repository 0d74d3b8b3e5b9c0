// SPDX-License-Identifier: MIT
/* Many ranges in one call. */
#include <errno.h>
#include <limits.h>

#include "internal.h"

static int do_request(struct kfdsvm *h, struct kfdsvm_request *r)
{
	const void *addr = r->addr;

	if (r->reserved || (r->op != KFDSVM_OP_PREFETCH && r->location) ||
	    (r->op != KFDSVM_OP_ADVISE && r->advice) ||
	    (r->op != KFDSVM_OP_SHARE && r->op != KFDSVM_OP_UNSHARE && (r->gpus || r->ngpus)))
		return -EINVAL;
	switch (r->op) {
	case KFDSVM_OP_SHARE:
		return kfdsvm_share(h, addr, r->len, r->gpus, r->ngpus, r->flags, &r->covered);
	case KFDSVM_OP_UNSHARE:
		return kfdsvm_unshare(h, addr, r->len, r->gpus, r->ngpus, r->flags,
				      &r->covered);
	case KFDSVM_OP_PREFETCH:
		return kfdsvm_prefetch(h, addr, r->len, r->location, r->flags, &r->covered);
	case KFDSVM_OP_ADVISE:
		return kfdsvm_advise(h, addr, r->len, r->advice, r->flags, &r->covered);
	}
	return -EINVAL;
}

/* True: it has failed. */
static bool do_entry(struct kfdsvm *h, void *entry, size_t entry_size, bool stop)
{
	struct kfdsvm_request known;
	int ret = kfdsvm_take_entry(&known, sizeof(known), entry, entry_size);

	known.covered = (struct kfdsvm_range){ 0 };
	if (stop)
		ret = -ECANCELED;
	else if (!ret)
		ret = do_request(h, &known);
	known.result = ret;
	/* What this library does not know stays as the caller has it. */
	kfdsvm_give_entry(entry, entry_size < sizeof(known) ? entry_size : sizeof(known),
			  &known, sizeof(known));
	return ret != 0;
}

int kfdsvm_batch(struct kfdsvm *h, struct kfdsvm_request *requests, size_t nrequests,
		 size_t entry_size, unsigned int flags)
{
	char *entry = (char *)requests;
	unsigned int failed = 0;
	bool stop = false;
	int ret = kfdsvm_check(h);

	if (ret)
		return ret;
	if (flags & ~KFDSVM_BATCH_STOP || (nrequests && !requests) ||
	    entry_size < sizeof(struct kfdsvm_request))
		return -EINVAL;
	for (size_t i = 0; i < nrequests; i++, entry += entry_size) {
		bool bad = do_entry(h, entry, entry_size, stop);

		failed += bad && failed < INT_MAX;
		stop |= bad && flags & KFDSVM_BATCH_STOP;
	}
	return (int)failed;
}
