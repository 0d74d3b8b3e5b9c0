// SPDX-License-Identifier: GPL-2.0-only
/*
 * The end of a process: exit, SIGKILL and exec with queues that run, wait on a
 * POLL, or are parked on a fault. The process must be gone in time, its state in
 * the kernel too, and the GPU must serve the next one.
 */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "conf.h"

static struct chan chan;

enum load { LOAD_IDLE, LOAD_POLL, LOAD_COPY, LOAD_FAULT };
enum end { END_EXIT, END_KILL, END_EXEC, END_WAIT };

struct plan {
	enum load load;
	enum end end;
};

static int start_load(enum load load)
{
	uint32_t dw[KT_SDMA_MAX_DW];
	volatile uint32_t *flag = bounce.cpu;
	char *src, *dst;
	int ret = 0;

	*flag = 0;
	switch (load) {
	case LOAD_IDLE:
		return 0;
	case LOAD_POLL:
		ret = kt_queue_emit(&sdma, dw, kt_sdma_poll(dw, (uintptr_t)flag,
							    KT_POLL_EQ, 1, ~0u));
		break;
	case LOAD_COPY:
		src = mmap(NULL, KT_HUGE, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		dst = mmap(NULL, KT_HUGE, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (src == MAP_FAILED || dst == MAP_FAILED)
			return -ENOMEM;
		if (!xnack_on())
			ret = kt_svm_set1(gpu.kfd, src, KT_HUGE, KFD_SVM_ATTR_ACCESS,
					  gpu.gpu_id) ?:
			      kt_svm_set1(gpu.kfd, dst, KT_HUGE, KFD_SVM_ATTR_ACCESS,
					  gpu.gpu_id);
		/* More work than is done before the end of the process. */
		for (unsigned int i = 0; i < 2000 && !ret; i++)
			ret = kt_queue_emit(&sdma, dw,
					    kt_sdma_copy(dw, (uintptr_t)dst,
							 (uintptr_t)src, KT_HUGE));
		break;
	case LOAD_FAULT:
		/* Many faults in a row, then one that is never resolved. */
		src = mmap(NULL, 64 * KT_HUGE, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
		if (src == MAP_FAILED)
			return -ENOMEM;
		for (unsigned int i = 0; i < 64 && !ret; i++)
			ret = kt_queue_emit(&sdma, dw,
					    kt_sdma_write1(dw, (uintptr_t)src +
							   i * KT_HUGE, i));
		ret = ret ?: kt_queue_emit(&sdma, dw, kt_sdma_write1(dw, 0x1000, 1));
		break;
	}
	kt_queue_ring(&sdma);
	return ret;
}

static int doomed(void *arg)
{
	const struct plan *plan = arg;

	child_check(gpu_reopen_in_child() == 0);
	child_check(start_load(plan->load) == 0);
	chan_tell_parent(&chan, 'r');
	switch (plan->end) {
	case END_EXIT:
		return 0;
	case END_EXEC: {
		char node[16];

		/* Descriptors go (O_CLOEXEC), the pid stays, a new start works. */
		snprintf(node, sizeof(node), "%u", gpu.node);
		exec_self("reopen", node, NULL);
		return 127;
	}
	case END_KILL:
	case END_WAIT:
		for (;;)
			pause();
	}
	return 1;
}

static void end_with_load(enum load load, enum end end)
{
	struct plan plan = { load, end };
	pid_t pid;
	int status;

	chan_open(&chan);
	pid = spawn(doomed, &plan);
	assert_int_equal(chan_wait_child(&chan), 'r');
	if (end == END_KILL)
		kill(pid, SIGKILL);
	status = reap(pid);
	if (end == END_KILL)
		assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	else
		assert_true(WIFEXITED(status) && !WEXITSTATUS(status));
	assert_true(kt_wait_for(kt_process_gone(pid), KT_WAIT_MS));
	gpu_open_queue();
	gpu_write32(bounce.cpu, 0x600d);
	assert_int_equal(*(uint32_t *)bounce.cpu, 0x600d);
}

#define LIFE_CASE(name, load, end)		\
	static void name(void **state)		\
	{					\
		(void)state;			\
		end_with_load(load, end);	\
	}

LIFE_CASE(exit_with_idle_queue, LOAD_IDLE, END_EXIT)
LIFE_CASE(exit_with_queue_on_poll, LOAD_POLL, END_EXIT)
LIFE_CASE(exit_with_running_copies, LOAD_COPY, END_EXIT)
LIFE_CASE(exit_with_queue_on_fault, LOAD_FAULT, END_EXIT)
LIFE_CASE(sigkill_with_queue_on_poll, LOAD_POLL, END_KILL)
LIFE_CASE(sigkill_with_running_copies, LOAD_COPY, END_KILL)
LIFE_CASE(sigkill_with_queue_on_fault, LOAD_FAULT, END_KILL)
LIFE_CASE(exec_with_queue_on_poll, LOAD_POLL, END_EXEC)
LIFE_CASE(exec_with_running_copies, LOAD_COPY, END_EXEC)
LIFE_CASE(exec_with_queue_on_fault, LOAD_FAULT, END_EXEC)

/* The descriptor survives in another process: the mm dies, the file does not. */
static int dies_while_fd_lives(void *arg)
{
	(void)arg;
	child_check(gpu_reopen_in_child() == 0);
	child_check(start_load(LOAD_POLL) == 0);
	/* A grandchild inherits the descriptor and outlives its opener. */
	if (!fork()) {
		struct kfd_ioctl_get_version_args v = { 0 };

		/* Tells when its parent, the opener, is gone. */
		if (!kt_wait_for(getppid() == 1 || kt_process_gone(getppid()),
				 KT_WAIT_MS))
			_exit(1);
		chan_tell_parent(&chan, kt_ioctl(gpu.kfd, AMDKFD_IOC_GET_VERSION,
						 &v) == -EBADF ? 'b' : 'n');
		_exit(0);
	}
	_exit(0);
}

static void descriptor_that_outlives_its_process(void **state)
{
	pid_t pid;

	(void)state;
	chan_open(&chan);
	pid = spawn(dies_while_fd_lives, NULL);
	expect_child_ok(pid);
	gpu_open_queue();
	gpu_write32(bounce.cpu, 1);
	assert_int_equal(chan_wait_child(&chan), 'b');
}

static void *wait_for_ever(void *arg)
{
	uint32_t id = *(uint32_t *)arg;

	kt_event_wait(&gpu, id, 0xffffffff, NULL);
	return NULL;
}

static int waits_on_events(void *arg)
{
	static uint32_t id;
	pthread_t t;

	(void)arg;
	child_check(gpu_reopen_in_child() == 0);
	child_check(kt_event_create(&gpu, KT_EVENT_SIGNAL, true, &id) == 0);
	child_check(pthread_create(&t, NULL, wait_for_ever, &id) == 0);
	chan_tell_parent(&chan, 'r');
	for (;;)
		pause();
}

static void sigkill_while_waiting_for_an_event(void **state)
{
	pid_t pid;

	(void)state;
	pid = spawn_ready(&chan, waits_on_events, NULL);
	kill(pid, SIGKILL);
	assert_true(WIFSIGNALED(reap(pid)));
	assert_true(kt_wait_for(kt_process_gone(pid), KT_WAIT_MS));
}

static void destroyed_event_wakes_its_waiter(void **state)
{
	static uint32_t id;
	pthread_t t;

	(void)state;
	gpu_open_queue();
	expect_ok(kt_event_create(&gpu, KT_EVENT_SIGNAL, true, &id));
	assert_int_equal(pthread_create(&t, NULL, wait_for_ever, &id), 0);
	/* Whether the waiter is asleep yet or not, the join must end. */
	sched_yield();
	expect_ok(kt_event_destroy(&gpu, id));
	assert_int_equal(pthread_join(t, NULL), 0);
}

static void destroy_queue_parked_on_poll(void **state)
{
	struct kt_queue q;
	uint32_t dw[KT_SDMA_MAX_DW];

	(void)state;
	gpu_open_queue();
	*(volatile uint32_t *)bounce.cpu = 0;
	for (unsigned int i = 0; i < 5; i++) {
		expect_ok(kt_queue_create(&gpu, 4096, &q));
		expect_ok(kt_queue_emit(&q, dw, kt_sdma_poll(dw, (uintptr_t)bounce.cpu,
							     KT_POLL_EQ, 1, ~0u)));
		kt_queue_ring(&q);
		expect_ok(kt_queue_destroy(&q));
	}
	gpu_write32((char *)bounce.cpu + 64, 1);
}

static void *thread_svm(void *arg)
{
	long bad = 0;
	char *p = arg;

	for (uint32_t i = 0; i < 100; i++) {
		struct kfd_svm_attribute a = { KFD_SVM_ATTR_GRANULARITY, i % 20 };

		bad += !!kt_svm(gpu.kfd, KFD_SVM_OP_SET_ATTR, (uintptr_t)p, 8 * KT_PAGE,
				1, &a);
		a.value = 99;
		bad += !!kt_svm(gpu.kfd, KFD_SVM_OP_GET_ATTR, (uintptr_t)p, 8 * KT_PAGE,
				1, &a);
		bad += a.value != i % 20;
	}
	return (void *)bad;
}

static void threads_share_the_descriptor(void **state)
{
	pthread_t t[4];
	void *bad;

	(void)state;
	gpu_open();
	for (unsigned int i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&t[i], NULL, thread_svm,
						map_pages(8 * KT_PAGE)), 0);
	for (unsigned int i = 0; i < 4; i++) {
		assert_int_equal(pthread_join(t[i], &bad), 0);
		assert_null(bad);
	}
}

/* ---- unloading the module ---- */

static int delete_module(const char *name)
{
	return syscall(SYS_delete_module, name, O_NONBLOCK) ? -errno : 0;
}

static void unload_is_refused(void)
{
	static const char *const modules[] = { "vamdgpu", "kfd_svm", "hmm_mirror" };

	for (unsigned int i = 0; i < KT_ARRAY_SIZE(modules); i++) {
		int ret = delete_module(modules[i]);

		if (ret != -EWOULDBLOCK && ret != -EBUSY)
			fail_msg("unloading %s while it is in use: %d", modules[i], ret);
	}
}

static void unload_while_kfd_is_open_is_refused(void **state)
{
	(void)state;
	expect_ok(kt_open_kfd(&gpu, conf_run.node));
	unload_is_refused();
	expect_ok(kt_open_render(&gpu));
	expect_ok(kt_acquire_vm(&gpu));
	unload_is_refused();
}

/* Only a mapping is left, no descriptor. */
static void unload_while_doorbells_are_mapped_is_refused(void **state)
{
	(void)state;
	gpu_open_queue();
	kt_close(&gpu);
	unload_is_refused();
	gpu_write32(bounce.cpu, 1);
	assert_int_equal(*(volatile uint32_t *)bounce.cpu, 1);
}

static const struct conf_case cases[] = {
	CASE(exit_with_idle_queue, CONF_BOTH),
	CASE(exit_with_queue_on_poll, CONF_BOTH),
	CASE(exit_with_running_copies, CONF_BOTH),
	CASE(exit_with_queue_on_fault, CONF_BOTH),
	CASE(sigkill_with_queue_on_poll, CONF_BOTH),
	CASE(sigkill_with_running_copies, CONF_BOTH),
	CASE(sigkill_with_queue_on_fault, CONF_BOTH),
	CASE(exec_with_queue_on_poll, CONF_BOTH),
	CASE(exec_with_running_copies, CONF_BOTH),
	CASE(exec_with_queue_on_fault, CONF_BOTH),
	CASE(descriptor_that_outlives_its_process, CONF_ONCE),
	CASE(sigkill_while_waiting_for_an_event, CONF_ONCE),
	CASE(destroyed_event_wakes_its_waiter, CONF_ONCE),
	CASE(destroy_queue_parked_on_poll, CONF_BOTH),
	CASE(threads_share_the_descriptor, CONF_BOTH),
	CASE(unload_while_kfd_is_open_is_refused, CONF_ONCE | CONF_VIRTUAL | CONF_ROOT),
	CASE(unload_while_doorbells_are_mapped_is_refused,
	     CONF_ONCE | CONF_VIRTUAL | CONF_ROOT),
};

CONF_GROUP(life_group, cases);
