// SPDX-License-Identifier: GPL-2.0-only
/*
 * The distribution's libhsakmt on the virtual GPU: open, topology, each kind of
 * memory, events. Prints one TAP line per step; exit code 0 if all passed.
 *
 *   cc -o hsakmt_smoke hsakmt_smoke.c -lhsakmt -lpthread
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <hsakmt/hsakmt.h>

#define MIB (1024UL * 1024UL)

static unsigned int steps, failures;
static HSAuint32 gpu_node;
static HSAuint32 gpu_count;

static void step(bool ok, const char *name)
{
	printf("%s %u - %s\n", ok ? "ok" : "not ok", ++steps, name);
	fflush(stdout);
	if (!ok)
		failures++;
}

static double seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec + now.tv_nsec / 1e9;
}

static void topology(void)
{
	HsaMemoryProperties banks[8] = { 0 };
	HsaCacheProperties caches[16] = { 0 };
	HsaIoLinkProperties links[8] = { 0 };
	HsaNodeProperties props;
	HsaSystemProperties sys;
	HSAuint32 node;

	step(hsaKmtAcquireSystemProperties(&sys) == HSAKMT_STATUS_SUCCESS,
	     "acquire system properties");
	step(sys.NumNodes >= 2, "a CPU node and a GPU node");
	for (node = 0; node < sys.NumNodes; node++) {
		if (hsaKmtGetNodeProperties(node, &props))
			break;
		printf("# node %u: cores %u simd %u banks %u caches %u links %u name '%s' render %d\n",
		       node, props.NumCPUCores, props.NumFComputeCores,
		       props.NumMemoryBanks, props.NumCaches, props.NumIOLinks,
		       (char *)props.AMDName, props.DrmRenderMinor);
		if (props.NumFComputeCores) {
			gpu_count++;
			if (!gpu_node)
				gpu_node = node;
		}
		if (props.NumMemoryBanks > 8 || props.NumCaches > 16 ||
		    props.NumIOLinks > 8 || !props.NumCaches)
			break;
		if (hsaKmtGetNodeMemoryProperties(node, props.NumMemoryBanks, banks))
			break;
		if (hsaKmtGetNodeCacheProperties(node, props.CComputeIdLo,
						 props.NumCaches, caches))
			break;
		if (hsaKmtGetNodeIoLinkProperties(node, props.NumIOLinks, links))
			break;
		if (links[0].NodeFrom != node)
			break;
	}
	step(node == sys.NumNodes && gpu_node, "properties of all nodes");
	hsaKmtGetNodeProperties(gpu_node, &props);
	step(props.EngineId.ui32.Major == 9 && props.EngineId.ui32.Minor == 0 &&
	     props.Capability.ui32.SVMAPISupported, "gfx900 with SVM");
}

static void clocks(void)
{
	HsaClockCounters a, b;

	step(!hsaKmtGetClockCounters(gpu_node, &a) && !usleep(2000) &&
	     !hsaKmtGetClockCounters(gpu_node, &b) &&
	     b.GPUClockCounter > a.GPUClockCounter &&
	     b.SystemClockCounter > a.SystemClockCounter &&
	     a.SystemClockFrequencyHz, "clocks advance");
	step(!hsaKmtGetClockCounters(0, &a) && a.SystemClockFrequencyHz,
	     "clocks of the CPU node");
}

static bool zeroed_and_writable(volatile uint64_t *mem, size_t len)
{
	size_t i;

	for (i = 0; i < len / 8; i += 512) {
		if (mem[i])
			return false;
		mem[i] = i + 1;
	}
	for (i = 0; i < len / 8; i += 512)
		if (mem[i] != i + 1)
			return false;
	return true;
}

/* Memory of one kind: allocate, use by the CPU, map, map again, unmap, free. */
static void memory(const char *name, HSAuint32 node, HsaMemFlags flags,
		   size_t len)
{
	HSAuint64 alternate;
	void *mem = NULL;
	char text[80];
	int i;

	for (i = 0; i < 3; i++) {
		snprintf(text, sizeof(text), "%s: allocate %zu KiB", name,
			 len / 1024);
		step(!hsaKmtAllocMemory(node, len, flags, &mem), text);
		if (!mem)
			return;
		if (flags.ui32.HostAccess) {
			snprintf(text, sizeof(text), "%s: the CPU sees zeros and writes",
				 name);
			step(zeroed_and_writable(mem, len), text);
		}
		snprintf(text, sizeof(text), "%s: map twice, unmap, free", name);
		step(!hsaKmtMapMemoryToGPU(mem, len, &alternate) &&
		     !hsaKmtMapMemoryToGPU(mem, len, &alternate) &&
		     !hsaKmtUnmapMemoryToGPU(mem) &&
		     !hsaKmtFreeMemory(mem, len), text);
		mem = NULL;
	}
}

static void memories(void)
{
	HsaMemFlags flags = { 0 };

	flags.ui32.HostAccess = 1;
	memory("userptr", 0, flags, 2 * MIB);
	flags.ui32.NonPaged = 1;
	memory("GTT", 0, flags, 64 * 1024);
	memory("GTT", 0, flags, 8 * MIB);
	memory("VRAM, visible", gpu_node, flags, 4 * MIB);
	flags.ui32.HostAccess = 0;
	memory("VRAM, invisible", gpu_node, flags, 4 * MIB);
	flags.ui32.ExecuteAccess = 1;
	flags.ui32.HostAccess = 1;
	flags.ui32.NonPaged = 0;
	memory("userptr, executable", 0, flags, 4096);
}

static void vram_limit(void)
{
	HsaMemFlags flags = { 0 };
	HSAuint64 before = 0, after = 0;
	void *mem = NULL, *more = NULL;

	flags.ui32.NonPaged = 1;
	flags.ui32.NoSubstitute = 1;
	step(!hsaKmtAvailableMemory(gpu_node, &before) && before >= 8 * MIB,
	     "available memory");
	step(!hsaKmtAllocMemory(gpu_node, before / 4 * 3 & ~(2 * MIB - 1), flags,
				&mem), "three quarters of VRAM at once");
	step(hsaKmtAllocMemory(gpu_node, before / 2, flags, &more),
	     "more than is left is refused");
	if (mem)
		hsaKmtFreeMemory(mem, before / 4 * 3 & ~(2 * MIB - 1));
	step(!hsaKmtAvailableMemory(gpu_node, &after) && after == before,
	     "all of it is free again");
}

static HsaEvent *new_event(bool manual)
{
	HsaEventDescriptor desc = { .EventType = HSA_EVENTTYPE_SIGNAL };
	HsaEvent *event = NULL;

	desc.NodeId = gpu_node;
	if (hsaKmtCreateEvent(&desc, manual, false, &event))
		return NULL;
	return event;
}

static void *set_later(void *arg)
{
	usleep(100 * 1000);
	hsaKmtSetEvent(arg);
	return NULL;
}

static void on_alarm(int sig __attribute__((unused)))
{
}

/* Signals every 20 ms must not keep a wait of 300 ms from ending. */
static void interrupted_wait(HsaEvent *event)
{
	struct itimerval every = { { 0, 20000 }, { 0, 20000 } };
	struct itimerval never = { { 0, 0 }, { 0, 0 } };
	struct sigaction action = { .sa_handler = on_alarm };
	double start = seconds(), took;
	HSAKMT_STATUS status;

	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &every, NULL);
	status = hsaKmtWaitOnEvent(event, 300);
	setitimer(ITIMER_REAL, &never, NULL);
	took = seconds() - start;
	printf("# interrupted wait of 300 ms took %.0f ms\n", took * 1e3);
	step(status == HSAKMT_STATUS_WAIT_TIMEOUT && took > 0.2 && took < 2,
	     "a wait interrupted by signals ends in time");
}

static void events(void)
{
	HsaEventDescriptor memory = { .EventType = HSA_EVENTTYPE_MEMORY };
	HsaEvent *ev[3], *fault = NULL;
	HSAuint64 age = 1;
	pthread_t thread;
	int i;

	for (i = 0; i < 3; i++)
		ev[i] = new_event(i == 2);
	step(ev[0] && ev[1] && ev[2], "create signal events");
	if (!ev[0] || !ev[1] || !ev[2])
		return;
	memory.NodeId = gpu_node;
	step(!hsaKmtCreateEvent(&memory, true, false, &fault),
	     "create a memory event");

	step(hsaKmtWaitOnEvent(ev[0], 0) == HSAKMT_STATUS_WAIT_TIMEOUT,
	     "an unset event is not there");
	step(!hsaKmtSetEvent(ev[0]) && !hsaKmtWaitOnEvent(ev[0], 1000) &&
	     hsaKmtWaitOnEvent(ev[0], 0) == HSAKMT_STATUS_WAIT_TIMEOUT,
	     "an auto-reset event is consumed");
	step(!hsaKmtSetEvent(ev[2]) && !hsaKmtWaitOnEvent(ev[2], 0) &&
	     !hsaKmtWaitOnEvent(ev[2], 0) && !hsaKmtResetEvent(ev[2]) &&
	     hsaKmtWaitOnEvent(ev[2], 0) == HSAKMT_STATUS_WAIT_TIMEOUT,
	     "a manual event stays until reset");
	step(!hsaKmtSetEvent(ev[0]) &&
	     hsaKmtWaitOnMultipleEvents(ev, 2, true, 50) ==
		     HSAKMT_STATUS_WAIT_TIMEOUT &&
	     !hsaKmtWaitOnEvent(ev[0], 0),
	     "a wait for all that fails gives back what it took");
	step(!hsaKmtSetEvent(ev[1]) &&
	     !hsaKmtWaitOnMultipleEvents(ev, 2, false, 1000),
	     "a wait for any ends with one");
	pthread_create(&thread, NULL, set_later, ev[0]);
	step(!hsaKmtWaitOnEvent(ev[0], 5000), "a thread wakes another");
	pthread_join(thread, NULL);
	step(!hsaKmtWaitOnEvent_Ext(ev[1], 0, &age) && age > 1,
	     "an old age ends a wait");
	interrupted_wait(ev[0]);
	for (i = 0; i < 3; i++)
		hsaKmtDestroyEvent(ev[i]);
	step(fault && !hsaKmtDestroyEvent(fault), "destroy events");
}

/* The child of a fork is no process of the GPU until it opens it itself. */
static void forked(void)
{
	HsaVersionInfo version;
	int status = 0;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (!pid) {
		if (hsaKmtGetVersion(&version) != HSAKMT_STATUS_KERNEL_IO_CHANNEL_NOT_OPENED)
			_exit(1);
		if (hsaKmtOpenKFD() || hsaKmtGetVersion(&version))
			_exit(2);
		_exit(hsaKmtCloseKFD() ? 3 : 0);
	}
	waitpid(pid, &status, 0);
	step(WIFEXITED(status) && !WEXITSTATUS(status),
	     "a child opens it for itself");
}

int main(void)
{
	HsaVersionInfo version;

	alarm(120);
	step(!hsaKmtOpenKFD(), "open");
	if (failures)
		return 1;
	step(!hsaKmtGetVersion(&version) &&
	     version.KernelInterfaceMajorVersion == 1, "version");
	printf("# interface %u.%u\n", version.KernelInterfaceMajorVersion,
	       version.KernelInterfaceMinorVersion);
	topology();
	if (failures)
		return 1;
	clocks();
	memories();
	vram_limit();
	events();
	forked();
	step(!hsaKmtReleaseSystemProperties() && !hsaKmtCloseKFD(), "close");
	printf("1..%u\n", steps);
	return failures ? 1 : 0;
}
