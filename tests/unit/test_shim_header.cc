// SPDX-License-Identifier: MIT
// kfdsvm.h in C++: compiles, links, and the structures can be filled in.
#include <kfdsvm.h>

#include <cstdio>

int main()
{
	kfdsvm_open_options options{};
	kfdsvm *handle = nullptr;

	options.size = sizeof(options);
	options.flags = KFDSVM_OPEN_INSPECT;
	if (kfdsvm_open(&handle, &options))
		return 1;
	kfdsvm_close(handle);
	std::printf("libkfdsvm %s\n", kfdsvm_version());
	return 0;
}
