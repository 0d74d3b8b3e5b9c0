// SPDX-License-Identifier: GPL-2.0-only
/* One cell, from setting up its memory to giving it back. */
#include <sys/mman.h>

#include "cell.h"

struct mx_run mx_run = { .timeout_s = 60 };

static unsigned int gpus_open;

static void open_gpus(const struct mx_cell *cell)
{
	if (gpus_open)
		return;
	conf_run.xnack = cell->mode == MX_XNACK_ON ? CONF_XNACK_ON : CONF_XNACK_OFF;
	if (cell->gpus > 1)
		open_two_gpus();
	else
		gpu_open_queue();
	for (unsigned int i = 0; i < cell->gpus; i++) {
		if (cell->gpus > 1)
			use_gpu(i);
		data_open_gpu(i);
		event_note_vram(i);
	}
	if (cell->gpus > 1)
		use_gpu(0);
	gpus_open = cell->gpus;
}

static void use(const struct mx_cell *cell, unsigned int gpu_index)
{
	if (cell->gpus > 1)
		use_gpu(gpu_index);
}

static uint64_t faults_of(const struct mx_cell *cell)
{
	uint64_t sum = 0, n = 0;

	for (unsigned int i = 0; i < cell->gpus; i++) {
		use(cell, i);
		expect_ok(kt_counter(&gpu, "faults", &n));
		sum += n;
	}
	use(cell, 0);
	return sum;
}

/* The GPUs in turn read what was written last, and write. */
static void job(const struct mx_cell *cell, const struct mx_memory *mem,
		enum mx_data before, enum mx_data first_writes, bool writes)
{
	for (unsigned int i = 0; i < cell->gpus; i++) {
		use(cell, i);
		gpu_expect(mem, i, before);
		if (writes) {
			before = first_writes + i;
			gpu_write(mem, i, before);
		}
	}
	use(cell, 0);
}

static void first_job(const struct mx_cell *cell, const struct mx_plan *plan,
		      const struct mx_memory *mem)
{
	uint64_t faults = faults_of(cell);

	if (cell->mode == MX_XNACK_OFF)
		event_register(cell, mem, plan->prefetch_first);
	job(cell, mem, plan->step[MX_SETUP].data, MX_JOB1_GPU1, true);
	faults = faults_of(cell) - faults;
	if (cell->mode == MX_XNACK_OFF ? faults : faults < cell->gpus)
		fail_msg("faults: the first job took %llu", (unsigned long long)faults);
}

static void second_job(const struct mx_cell *cell, const struct mx_plan *plan,
		       const struct mx_memory *mem)
{
	if (!plan->reads)
		return;
	/* What moved away is not registered where it is now. */
	if (cell->mode == MX_XNACK_OFF && cell->event == MX_MREMAP)
		event_register(cell, mem, false);
	job(cell, mem, plan->step[MX_EVENT].data, MX_JOB2_GPU1, plan->writes);
}

/* The access of the last GPU that must not work. */
static void refused_access(const struct mx_cell *cell, const struct mx_plan *plan,
			   const struct mx_memory *mem)
{
	unsigned int kind = plan->exception == MX_READ_ONLY ? EXC_READ_ONLY :
							      EXC_NOT_PRESENT;
	const char *at = mem->old ?: mem->p + mem->hole;
	uint32_t dw[KT_SDMA_MAX_DW];

	use(cell, cell->gpus - 1);
	if (cell->event == MX_PROT_READ)
		gpu_submit(dw, kt_sdma_write1(dw, (uintptr_t)at, 0xbad1bad1));
	else
		gpu_copy_async(bounce.cpu, at, sizeof(uint32_t));
	gpu_expect_exception(at, kind);
	use(cell, 0);
}

static void give_back_access(const struct mx_cell *cell, const struct mx_memory *mem)
{
	if (cell->event == MX_PROT_NONE)
		assert_int_equal(mprotect(mem->p, mem->len, PROT_READ | PROT_WRITE), 0);
}

static void verify(const struct mx_cell *cell, const struct mx_plan *plan,
		   const struct mx_memory *mem, struct mx_child *child)
{
	enum mx_data data = plan->step[MX_VERIFY].data;

	give_back_access(cell, mem);
	if (!cpu_sees(mem, data))
		fail_msg("data: what the CPU reads is wrong");
	look(cell, plan, MX_VERIFY, mem);
	if (mem->fd >= 0)
		expect_file(mem, mx_is_shared(cell->kind) ? data : MX_FILE);
	if (child->pid) {
		chan_tell_child(&child->chan, 'v');
		expect_child_ok(child->pid);
		for (unsigned int i = 0; i < 2; i++) {
			close(child->chan.up[i]);
			close(child->chan.down[i]);
		}
	}
}

static void set_up(const struct mx_cell *cell, struct mx_memory *mem)
{
	memory_make(cell, mem);
	if (cell->touch != MX_CPU_FIRST)
		return;
	cpu_write(mem, MX_CPU);
	if (cell->kind == MX_THP &&
	    thp_kib(mem->p) < mem->len / KT_HUGE * (KT_HUGE >> 10))
		fail_msg("no huge page to be had");
}

/* An exception has ended all queues. */
static void renew_queues(const struct mx_cell *cell)
{
	for (unsigned int i = 0; i < cell->gpus; i++) {
		use(cell, i);
		gpu_renew_queue();
	}
	use(cell, 0);
	gpu_renew_event();
}

void cell_run(const struct mx_cell *cell, bool *spoiled)
{
	struct mx_child child = { 0 };
	struct mx_memory mem;
	struct mx_plan plan;

	mx_expect(cell, &mx_run.world, &plan);
	data_new_cell();
	open_gpus(cell);
	look_begin(cell);
	set_up(cell, &mem);
	look(cell, &plan, MX_SETUP, &mem);
	first_job(cell, &plan, &mem);
	look(cell, &plan, MX_JOB1, &mem);
	event_do(cell, &plan, &mem, &child);
	look(cell, &plan, MX_EVENT, &mem);
	second_job(cell, &plan, &mem);
	if (plan.exception)
		refused_access(cell, &plan, &mem);
	look(cell, &plan, MX_JOB2, &mem);
	verify(cell, &plan, &mem, &child);
	memory_drop(cell, &mem);
	look_end(cell);
	if (plan.exception)
		renew_queues(cell);
	*spoiled = mem.spoiled;
}
