// SPDX-License-Identifier: MIT
/*
 * OpenCL on malloc'ed memory: a kernel gets the pointer by clSetKernelArgSVMPointer().
 * libkfdsvm shares the memory first, so the device need not have fine-grained system SVM
 * (XNACK).
 *
 *   cc opencl_svm.c -lkfdsvm -lOpenCL
 */
#define CL_TARGET_OPENCL_VERSION 200
#include <CL/cl.h>
#include <kfdsvm.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#define N 4096

static const char *const source =
	"__kernel void add_one(__global int *p) { p[get_global_id(0)] += 1; }";

static bool bad(const char *what, cl_int error)
{
	if (error)
		printf("%s: OpenCL error %d\n", what, error);
	return error;
}

/* The first GPU of the platform that AMD's GPUs are on. */
static cl_device_id find_gpu(void)
{
	cl_platform_id platforms[8];
	cl_device_id device;
	cl_uint n = 0;

	if (clGetPlatformIDs(8, platforms, &n))
		return NULL;
	for (cl_uint i = 0; i < n && i < 8; i++)
		if (!clGetDeviceIDs(platforms[i], CL_DEVICE_TYPE_GPU, 1, &device, NULL))
			return device;
	return NULL;
}

static cl_kernel build(cl_context context, cl_device_id device)
{
	cl_int error;
	const char *text = source;
	cl_program program = clCreateProgramWithSource(context, 1, &text, NULL, &error);

	if (bad("program", error) || bad("build", clBuildProgram(program, 1, &device, "-cl-std=CL2.0",
								 NULL, NULL)))
		return NULL;
	return clCreateKernel(program, "add_one", &error);
}

static bool run(cl_device_id device, int *data)
{
	size_t n = N;
	cl_int error;
	cl_context context = clCreateContext(NULL, 1, &device, NULL, NULL, &error);
	cl_command_queue queue;
	cl_kernel kernel;

	if (bad("context", error))
		return false;
	queue = clCreateCommandQueueWithProperties(context, device, NULL, &error);
	if (bad("queue", error))
		return false;
	kernel = build(context, device);
	/* The pointer as malloc gave it. */
	return kernel && !bad("argument", clSetKernelArgSVMPointer(kernel, 0, data)) &&
	       !bad("launch", clEnqueueNDRangeKernel(queue, kernel, 1, NULL, &n, NULL, 0, NULL,
						     NULL)) &&
	       !bad("wait", clFinish(queue));
}

int main(void)
{
	int *data = malloc(N * sizeof(*data));
	cl_device_id device = find_gpu();
	struct kfdsvm *svm;
	int ret;

	if (!device || !data) {
		printf("no OpenCL GPU\n");
		return 77;
	}
	ret = kfdsvm_open(&svm, NULL);
	if (!ret)
		ret = kfdsvm_share(svm, data, N * sizeof(*data), NULL, 0, 0, NULL);
	if (ret) {
		printf("%s\n", kfdsvm_strerror(ret));
		return 1;
	}
	for (int i = 0; i < N; i++)
		data[i] = i;
	if (!run(device, data))
		return 1;
	for (int i = 0; i < N; i++)
		if (data[i] != i + 1) {
			printf("wrong result\n");
			return 1;
		}
	printf("well\n");
	return 0;
}
