// SPDX-License-Identifier: MIT
//
// An ordinary C++ program on libhsa-runtime64: containers, strings, a global and the
// stack are copied by the GPU as they are. Nothing here knows of SVM; without XNACK
// the runtime ends the program over a memory fault, unless it runs under `kfdsvm run`.
//
// TAP on stdout; exit 77 where there is no GPU.
#include <cstdio>
#include <cstring>
#include <memory>
#include <numeric>
#include <string>
#include <thread>
#include <unistd.h>
#include <vector>

extern "C" {
#include "hsa_gpu.h"
}

namespace {

std::vector<double> global_vector(5000);
double global_array[4096];
unsigned int number;

void step(bool good, const char *what)
{
	std::printf("%sok %u - %s\n", good ? "" : "not ", ++number, what);
	std::fflush(stdout);
}

bool copy(hsa_gpu &gpu, void *to, const void *from, std::size_t len)
{
	return !hsa_gpu_copy(&gpu, to, gpu.gpu, from, gpu.cpu, len) && !std::memcmp(to, from, len);
}

bool vectors(hsa_gpu &gpu, std::size_t n)
{
	std::vector<double> from(n), to(n);

	std::iota(from.begin(), from.end(), 1.0);
	return copy(gpu, to.data(), from.data(), n * sizeof(double));
}

bool growing_vector(hsa_gpu &gpu)
{
	std::vector<double> v, to;

	for (std::size_t n = 1000; n < 400000; n *= 3) {
		while (v.size() < n)
			v.push_back(static_cast<double>(v.size()));
		to.assign(n, 0);
		if (!copy(gpu, to.data(), v.data(), n * sizeof(double)))
			return false;
	}
	return true;
}

bool from_stack(hsa_gpu &gpu)
{
	double from[512], to[512] = {};

	std::iota(from, from + 512, 3.0);
	return copy(gpu, to, from, sizeof(from));
}

bool from_global(hsa_gpu &gpu)
{
	std::iota(global_array, global_array + 4096, 5.0);
	std::iota(global_vector.begin(), global_vector.end(), 7.0);
	return copy(gpu, global_vector.data(), global_array, sizeof(global_array));
}

bool from_thread(hsa_gpu &gpu)
{
	bool good = false;

	std::thread([&] {
		good = from_stack(gpu) && vectors(gpu, 3000) && vectors(gpu, 300000);
	}).join();
	return good;
}

bool strings(hsa_gpu &gpu)
{
	auto from = std::make_unique<std::string>(30000, 'k');
	std::string to(30000, ' ');

	return copy(gpu, &to[0], from->data(), from->size());
}

} // namespace

int main()
{
	std::vector<double> before(30000, 1.5), into(30000);
	hsa_gpu gpu;

	if (access("/dev/kfd", F_OK)) {
		std::printf("no /dev/kfd\n");
		return 77;
	}
	std::printf("1..8\n");
	step(!hsa_gpu_open(&gpu, HSA_ANY_NODE), "runtime opens");
	step(copy(gpu, into.data(), before.data(), into.size() * sizeof(double)),
	     "std::vector from before");
	step(vectors(gpu, 1000) && vectors(gpu, 500000), "std::vector");
	step(growing_vector(gpu), "std::vector that grows");
	step(from_stack(gpu), "array on the stack");
	step(from_global(gpu), "global array to global std::vector");
	step(strings(gpu), "std::string");
	step(from_thread(gpu), "in a std::thread");
	hsa_gpu_close(&gpu);
	return 0;
}
