// SPDX-License-Identifier: MIT
#include "words.h"

#include <kfdsvm.h>

const char *migration_word(uint32_t trigger)
{
	switch (trigger) {
	case KFDSVM_MIGRATE_PREFETCH:
		return "prefetch";
	case KFDSVM_MIGRATE_GPU_FAULT:
		return "GPU fault";
	case KFDSVM_MIGRATE_CPU_FAULT:
		return "CPU fault";
	case KFDSVM_MIGRATE_VRAM_FULL:
		return "VRAM full";
	}
	return "unknown";
}

const char *eviction_word(uint32_t trigger)
{
	switch (trigger) {
	case KFDSVM_EVICTION_SVM:
		return "shared memory changed";
	case KFDSVM_EVICTION_USERPTR:
		return "user pointer changed";
	case KFDSVM_EVICTION_VRAM_FULL:
		return "VRAM full";
	case KFDSVM_EVICTION_SUSPEND:
		return "suspend";
	case KFDSVM_EVICTION_CHECKPOINT:
		return "checkpoint";
	case KFDSVM_EVICTION_CHECKPOINT_RESTORE:
		return "restore of a checkpoint";
	}
	return "unknown";
}

const char *unmap_word(uint32_t trigger)
{
	switch (trigger) {
	case KFDSVM_UNMAP_CPU_CHANGE:
		return "CPU change";
	case KFDSVM_UNMAP_MIGRATION:
		return "migration";
	case KFDSVM_UNMAP_MUNMAP:
		return "munmap";
	}
	return "unknown";
}
