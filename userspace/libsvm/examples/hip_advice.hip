// SPDX-License-Identifier: MIT
// Beside HIP: ordinary memory is shared, advised and prefetched by libkfdsvm, and a HIP
// kernel works on it. No hipMalloc, no hipMemcpy; works with XNACK off, too.
//
//   hipcc hip_advice.hip -lkfdsvm
#include <hip/hip_runtime.h>
#include <kfdsvm.h>

#include <cstdio>
#include <vector>

__global__ void scale(const float *table, float *values, int n)
{
	int i = blockIdx.x * blockDim.x + threadIdx.x;

	if (i < n)
		values[i] *= table[i % 256];
}

static bool good(const char *what, int error)
{
	if (error)
		std::printf("%s: %s\n", what, kfdsvm_strerror(error));
	return !error;
}

// The first GPU that can: HIP's device 0, unless HIP_VISIBLE_DEVICES says otherwise.
static uint32_t first_gpu(const kfdsvm *svm)
{
	struct kfdsvm_device_info info{};

	info.size = sizeof(info);
	for (unsigned int i = 0; i < kfdsvm_device_count(svm); i++)
		if (!kfdsvm_device_info(svm, i, &info) && info.usable)
			return info.gpu_id;
	return 0;
}

// The table stays readable for CPU and GPU, wherever it is copied to.
static int advise_read_mostly(kfdsvm *svm, const void *p, size_t len)
{
	kfdsvm_advice advice{};

	advice.size = sizeof(advice);
	advice.fields = KFDSVM_ADVISE_FLAGS;
	advice.flags_set = KFDSVM_GPU_READ_MOSTLY | KFDSVM_GPU_READ_ONLY;
	return kfdsvm_advise(svm, p, len, &advice, 0, nullptr);
}

// Only whole pages: what else lies on the pages at both ends may have to be written.
static int advise_preferred(kfdsvm *svm, const void *p, size_t len, uint32_t gpu)
{
	kfdsvm_advice advice{};

	advice.size = sizeof(advice);
	advice.fields = KFDSVM_ADVISE_PREFERRED | KFDSVM_ADVISE_GRANULARITY;
	advice.preferred = gpu;
	advice.granularity_lg2 = 9;
	return kfdsvm_advise(svm, p, len, &advice, KFDSVM_INNER, nullptr);
}

int main()
{
	const int n = 1 << 20;
	const size_t len = n * sizeof(float);
	alignas(65536) static float table[65536 / sizeof(float)];
	std::vector<float> values(n, 2.0f);
	kfdsvm_progress progress{};
	kfdsvm *svm;
	uint32_t gpu;

	if (!good("open", kfdsvm_open(&svm, nullptr)))
		return 1;
	gpu = first_gpu(svm);
	for (float &x : table)
		x = 3.0f;
	progress.size = sizeof(progress);
	if (!good("share", kfdsvm_share(svm, values.data(), len, &gpu, 1, 0, nullptr)) ||
	    !good("share", kfdsvm_share(svm, table, sizeof(table), &gpu, 1, 0, nullptr)) ||
	    !good("advise", advise_read_mostly(svm, table, sizeof(table))) ||
	    !good("advise", advise_preferred(svm, values.data(), len, gpu)) ||
	    !good("prefetch", kfdsvm_prefetch_measured(svm, values.data(), len, gpu, 0,
						       &progress, nullptr)))
		return 1;
	if (progress.after_len != KFDSVM_UNKNOWN)
		std::printf("%llu of %llu KiB are in VRAM\n",
			    (unsigned long long)progress.after_len / 1024,
			    (unsigned long long)progress.covered_len / 1024);
	scale<<<n / 256, 256>>>(table, values.data(), n);
	if (hipDeviceSynchronize() != hipSuccess) {
		std::printf("the kernel failed\n");
		return 1;
	}
	for (float x : values)
		if (x != 6.0f) {
			std::printf("wrong result\n");
			return 1;
		}
	std::printf("well\n");
	kfdsvm_close(svm);
	return 0;
}
