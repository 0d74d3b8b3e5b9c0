/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Taking a virtual GPU away and giving it back, as an administrator does; what is left.
 */
#ifndef UNPLUG_GPU_H
#define UNPLUG_GPU_H

#include <stdbool.h>
#include <stddef.h>

#include "kt.h"

/* GPUs there are at most, whether plugged or not. */
unsigned int gpu_slots(void);
bool gpu_is_plugged(unsigned int index);
/* Both fail the case if they do not work, and return when all is done. */
void gpu_unplug(unsigned int index);
void gpu_plug(unsigned int index);
void gpu_plug_all(void);

/* GPUs in the topology; their generation_id. */
unsigned int topology_gpus(void);
unsigned long topology_generation(void);
/* Reads it as user space does, anew if it has changed meanwhile. True: its parts agree. */
bool topology_agrees(void);

/* -ENODEV: this process's GPU is gone; 0: it is there. */
int gpu_state(struct kt_dev *dev);
/* Waits for the end of what the queue has, or of the GPU. False: neither came. */
bool queue_ends(struct kt_dev *dev, struct kt_queue *q);

/* Memory of the process's own, at an address of 2 MiB. */
void *map_aligned(size_t len);

/* A new process copies on each GPU in the topology. */
void check_new_process_works(void);

#endif
