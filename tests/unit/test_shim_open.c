// SPDX-License-Identifier: MIT
/* Opening libkfdsvm on machines where something is missing: it says what. */
#include "shim_fake.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static struct fake fake;

static int setup(void **state)
{
	(void)state;
	fake_init(&fake);
	return 0;
}

/* Opening fails with @error and @reason, leaves no file open, and says @what and @fix. */
static void expect(int error, enum kfdsvm_reason reason, const char *what, const char *fix)
{
	struct kfdsvm_why why = { .size = sizeof(why) };
	struct kfdsvm_open_options options = { .size = sizeof(options), .why = &why };
	struct kfdsvm *h = (void *)1;

	assert_int_equal(kfdsvm_open_sys(&h, &options, &fake.sys), error);
	assert_null(h);
	assert_int_equal(why.reason, reason);
	if (!strstr(why.what, what) || !strstr(why.fix, fix))
		fail_msg("what: '%s', fix: '%s'", why.what, why.fix);
	assert_int_equal(fake.open_files, 0);
	/* To inspect, the same machine opens, and every other call has the error. */
	options.flags = KFDSVM_OPEN_INSPECT;
	assert_int_equal(kfdsvm_open_sys(&h, &options, &fake.sys), 0);
	assert_int_equal(kfdsvm_why(h, &why), 0);
	assert_int_equal(why.reason, reason);
	assert_int_equal(kfdsvm_share(h, &fake, 1, NULL, 0, 0, NULL), error);
	assert_int_equal(kfdsvm_xnack_get(h), error);
	for (unsigned int i = 0; i < kfdsvm_device_count(h); i++) {
		struct kfdsvm_device_info info = { .size = sizeof(info) };

		assert_int_equal(kfdsvm_device_info(h, i, &info), 0);
		assert_false(info.usable);
		assert_int_not_equal(info.reason, KFDSVM_REASON_NONE);
	}
	kfdsvm_close(h);
	assert_int_equal(fake.open_files, 0);
}

static void no_driver(void **state)
{
	(void)state;
	fake.kfd_error = -ENOENT;
	fake.no_topology = true;
	expect(-ENOENT, KFDSVM_REASON_NO_KFD, "amdgpu is not loaded", "modprobe amdgpu");
	fake.amdgpu_module = true;
	expect(-ENOENT, KFDSVM_REASON_NO_KFD, "amdgpu is loaded", "CONFIG_HSA_AMD=y");
}

static void container_without_device_node(void **state)
{
	(void)state;
	fake.kfd_error = -ENOENT;
	expect(-ENOENT, KFDSVM_REASON_KFD_HIDDEN, "/dev/kfd", "--device=/dev/kfd");
}

static void permission_names_the_group(void **state)
{
	(void)state;
	fake.kfd_error = -EACCES;
	expect(-EACCES, KFDSVM_REASON_KFD_PERMISSION, "group render, mode 0660",
	       "usermod -aG render");
	fake.member = 2;
	expect(-EACCES, KFDSVM_REASON_KFD_PERMISSION, "render", "log in again");
	fake.member = 1;
	expect(-EACCES, KFDSVM_REASON_KFD_PERMISSION, "render", "cgroup");
	fake.member = 0;
	fake.mode = 0600;
	expect(-EACCES, KFDSVM_REASON_KFD_PERMISSION, "mode 0600", "udev rules");
	fake.kfd_error = -EPERM;
	fake.mode = 0660;
	expect(-EACCES, KFDSVM_REASON_KFD_PERMISSION, "render", "usermod");
}

static void other_errors_of_the_node_are_passed_on(void **state)
{
	(void)state;
	fake.kfd_error = -EMFILE;
	expect(-EMFILE, KFDSVM_REASON_KFD_ERROR, "errno 24", "");
	fake.kfd_error = 0;
	fake.version_error = -EIO;
	expect(-EIO, KFDSVM_REASON_KFD_ERROR, "version", "");
	fake.version_error = 0;
	fake.apertures_error = -ENOMEM;
	expect(-ENOMEM, KFDSVM_REASON_KFD_ERROR, "APERTURES", "");
}

static void old_interface(void **state)
{
	(void)state;
	fake.minor = 4;
	expect(-EPROTO, KFDSVM_REASON_KFD_VERSION, "1.4", "5.14");
	fake.major = 2;
	fake.minor = 9;
	expect(-EPROTO, KFDSVM_REASON_KFD_VERSION, "2.9", "");
}

static void oldest_interface_that_will_do(void **state)
{
	uint32_t major, minor;
	struct kfdsvm *h;

	(void)state;
	fake.minor = 5;
	h = fake_open(&fake);
	assert_int_equal(kfdsvm_kfd_version(h, &major, &minor), 0);
	assert_int_equal(major, 1);
	assert_int_equal(minor, 5);
	kfdsvm_close(h);
}

static void kernel_without_svm(void **state)
{
	(void)state;
	fake.xnack_query_error = -EPERM;
	fake.gpus[0].capability = 0x2000;
	expect(-EPERM, KFDSVM_REASON_KERNEL_NO_SVM, "refuses", "CONFIG_HSA_AMD_SVM");
	fake.xnack_query_error = -ENOTTY;
	expect(-EPERM, KFDSVM_REASON_KERNEL_NO_SVM, "refuses", "CONFIG_HSA_AMD_SVM");
}

static void no_gpu(void **state)
{
	(void)state;
	fake.ngpus = 0;
	expect(-ENODEV, KFDSVM_REASON_NO_GPU, "no GPU", "kernel log");
}

static void gpu_of_another_cgroup_does_not_count(void **state)
{
	struct kfdsvm *h;

	(void)state;
	fake.gpus[0].gpu_id_error = -EPERM;
	expect(-ENODEV, KFDSVM_REASON_NO_GPU, "no GPU", "container");
	fake_add_gpu(&fake, 0x99, 90010);
	h = fake_open(&fake);
	assert_int_equal(kfdsvm_device_count(h), 1);
	kfdsvm_close(h);
}

static void no_topology(void **state)
{
	(void)state;
	fake.no_topology = true;
	expect(-ENODEV, KFDSVM_REASON_NO_TOPOLOGY, "nodes", "sysfs");
}

static void gpu_without_svm(void **state)
{
	(void)state;
	fake.gpus[0].capability = 0x2000;
	expect(-ENODEV, KFDSVM_REASON_GPU_NO_SVM, "gfx900", "GFX9");
	fake.gpus[0].gfx_version = 90010;
	expect(-ENODEV, KFDSVM_REASON_GPU_NO_SVM, "gfx90a", "CONFIG_HSA_AMD_SVM");
	assert_int_equal(fake.gpus[0].bound_fd, 0);
}

static void gpu_hidden_from_the_process(void **state)
{
	(void)state;
	fake.gpus[0].no_aperture = true;
	expect(-ENODEV, KFDSVM_REASON_GPU_HIDDEN, "not among", "cgroup");
}

static void render_node(void **state)
{
	(void)state;
	fake.gpus[0].render_error = -ENOENT;
	expect(-ENODEV, KFDSVM_REASON_RENDER_MISSING, "renderD128", "/dev/dri");
	fake.gpus[0].render_error = -EACCES;
	expect(-ENODEV, KFDSVM_REASON_RENDER_PERMISSION, "renderD128 belongs to root",
	       "usermod -aG render");
	fake.gpus[0].render_error = -EIO;
	expect(-ENODEV, KFDSVM_REASON_RENDER_ERROR, "renderD128", "");
	fake.gpus[0].render_minor = 0;
	expect(-ENODEV, KFDSVM_REASON_RENDER_MISSING, "renderD0", "");
}

static void acquire_refused(void **state)
{
	(void)state;
	fake.gpus[0].acquire_error = -ENOMEM;
	expect(-ENODEV, KFDSVM_REASON_ACQUIRE, "ACQUIRE_VM of gpu 4660", "kernel log");
}

static void one_good_gpu_of_three_is_enough(void **state)
{
	struct kfdsvm_device_info info = { .size = sizeof(info) };
	struct kfdsvm_why why = { .size = sizeof(why) };
	struct kfdsvm *h;

	(void)state;
	fake.gpus[0].capability = 0;
	fake_add_gpu(&fake, 0x55, 110000)->render_error = -EACCES;
	fake_add_gpu(&fake, 0x66, 90402);
	h = fake_open(&fake);
	assert_int_equal(kfdsvm_device_count(h), 3);
	assert_int_equal(kfdsvm_device_info(h, 0, &info), 0);
	assert_int_equal(info.reason, KFDSVM_REASON_GPU_NO_SVM);
	assert_int_equal(kfdsvm_device_why(h, 1, &why), 0);
	assert_int_equal(why.reason, KFDSVM_REASON_RENDER_PERMISSION);
	assert_int_equal(kfdsvm_device_info(h, 2, &info), 0);
	assert_true(info.usable);
	assert_string_equal(info.gfx_name, "gfx942");
	assert_int_equal(kfdsvm_why(h, &why), 0);
	assert_int_equal(why.reason, KFDSVM_REASON_NONE);
	kfdsvm_close(h);
}

static void three_bad_gpus_are_told_as_such(void **state)
{
	(void)state;
	fake.gpus[0].capability = 0;
	fake_add_gpu(&fake, 0x55, 90010)->render_error = -ENOENT;
	expect(-ENODEV, KFDSVM_REASON_NO_USABLE_GPU, "gfx900", "");
}

static void facts_of_a_gpu(void **state)
{
	struct kfdsvm_device_info info = { .size = sizeof(info) };
	struct kfdsvm *h;

	(void)state;
	h = fake_open(&fake);
	assert_int_equal(kfdsvm_device_info(h, 1, &info), -EINVAL);
	assert_int_equal(kfdsvm_device_info(h, 0, &info), 0);
	assert_int_equal(info.node, 1);
	assert_int_equal(info.gpu_id, 0x1234);
	assert_int_equal(info.vendor_id, 0x1002);
	assert_int_equal(info.device_id, 26751);
	assert_int_equal(info.vram_len, 512u << 20);
	assert_string_equal(info.name, "vega10");
	assert_string_equal(info.gfx_name, "gfx900");
	assert_int_equal(info.xnack, KFDSVM_XNACK_DRIVER);
	assert_int_equal(kfdsvm_xnack_support(90010), KFDSVM_XNACK_PROCESS);
	assert_int_equal(kfdsvm_xnack_support(90402), KFDSVM_XNACK_PROCESS);
	assert_int_equal(kfdsvm_xnack_support(100100), KFDSVM_XNACK_DRIVER);
	assert_int_equal(kfdsvm_xnack_support(110001), KFDSVM_XNACK_NEVER);
	kfdsvm_close(h);
}

/* --- in company: acquire.c */

static void uses_the_file_of_libdrm(void **state)
{
	(void)state;
	kfdsvm_close(fake_open(&fake));
	assert_int_equal(fake.gpus[0].bound_fd, FAKE_FD_DRM + 128);
	assert_int_equal(fake.nudges, 0);
	/* A second handle in the process meets the same file. */
	kfdsvm_close(fake_open(&fake));
	assert_int_equal(fake.open_files, 0);
}

static void takes_its_own_file_without_libdrm(void **state)
{
	(void)state;
	fake.drm_share_error = -ENOSYS;
	kfdsvm_close(fake_open(&fake));
	assert_int_equal(fake.gpus[0].bound_fd, FAKE_FD_RENDER + 128);
}

static void busy_means_acquired_already(void **state)
{
	(void)state;
	fake.gpus[0].bound_fd = 777;
	kfdsvm_close(fake_open(&fake));
	assert_int_equal(fake.gpus[0].bound_fd, 777);
}

static void old_thunk_goes_first(void **state)
{
	(void)state;
	fake.thunk = KFDSVM_THUNK_PRIVATE;
	kfdsvm_close(fake_open(&fake));
	assert_int_equal(fake.nudges, 1);
	assert_int_equal(fake.gpus[0].bound_fd, 5000);
}

static void new_thunk_is_left_alone(void **state)
{
	(void)state;
	fake.thunk = KFDSVM_THUNK_SHARES;
	kfdsvm_close(fake_open(&fake));
	assert_int_equal(fake.nudges, 0);
	assert_int_equal(fake.gpus[0].bound_fd, FAKE_FD_DRM + 128);
}

static void thunk_of_the_parent_is_made_to_let_go(void **state)
{
	(void)state;
	fake.thunk = KFDSVM_THUNK_SHARES;
	fake.gpus[0].acquire_drm_error = -EINVAL;
	kfdsvm_close(fake_open(&fake));
	assert_int_equal(fake.nudges, 1);
	assert_int_equal(fake.drops, 1);
	assert_int_equal(fake.gpus[0].bound_fd, FAKE_FD_DRM + 128);
}

static void file_of_the_parent_without_thunk(void **state)
{
	(void)state;
	fake.gpus[0].acquire_drm_error = -EINVAL;
	kfdsvm_close(fake_open(&fake));
	assert_int_equal(fake.nudges, 0);
	assert_int_equal(fake.gpus[0].bound_fd, FAKE_FD_RENDER + 128);
}

/* --- options */

static void options_are_sized_by_the_caller(void **state)
{
	struct {
		struct kfdsvm_open_options known;
		uint64_t more;
	} longer = { .known = { .size = sizeof(longer) } };
	struct kfdsvm_open_options options = { .size = sizeof(options), .flags = 0x80 };
	struct kfdsvm *h;

	(void)state;
	assert_int_equal(kfdsvm_open_sys(&h, &options, &fake.sys), -EINVAL);
	options.flags = 0;
	options.size = 4;
	assert_int_equal(kfdsvm_open_sys(&h, &options, &fake.sys), -EINVAL);
	assert_int_equal(kfdsvm_open_sys(NULL, NULL, &fake.sys), -EINVAL);
	/* Longer is fine as long as the rest is 0. */
	assert_int_equal(kfdsvm_open_sys(&h, &longer.known, &fake.sys), 0);
	kfdsvm_close(h);
	longer.more = 1;
	assert_int_equal(kfdsvm_open_sys(&h, &longer.known, &fake.sys), -E2BIG);
	assert_null(h);
	/* Shorter: the rest is taken as 0. */
	options.size = offsetof(struct kfdsvm_open_options, why);
	options.why = (void *)1;
	assert_int_equal(kfdsvm_open_sys(&h, &options, &fake.sys), 0);
	kfdsvm_close(h);
	kfdsvm_close(NULL);
}

static void results_are_sized_by_the_caller(void **state)
{
	struct {
		struct kfdsvm_device_info known;
		uint64_t more;
	} longer = { .known = { .size = sizeof(longer) }, .more = 5 };
	struct kfdsvm_device_info info;
	struct kfdsvm *h;

	(void)state;
	h = fake_open(&fake);
	memset(&info, 0x77, sizeof(info));
	info.size = offsetof(struct kfdsvm_device_info, usable);
	assert_int_equal(kfdsvm_device_info(h, 0, &info), 0);
	assert_int_equal(info.gpu_id, 0x1234);
	assert_int_equal(info.usable, 0x77777777);
	assert_int_equal(kfdsvm_device_info(h, 0, &longer.known), 0);
	assert_int_equal(longer.known.size, sizeof(longer));
	assert_int_equal(longer.more, 0);
	info.size = 0;
	assert_int_equal(kfdsvm_device_info(h, 0, &info), -EINVAL);
	kfdsvm_close(h);
}

#define T(f) cmocka_unit_test_setup(f, setup)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(no_driver),
		T(container_without_device_node),
		T(permission_names_the_group),
		T(other_errors_of_the_node_are_passed_on),
		T(old_interface),
		T(oldest_interface_that_will_do),
		T(kernel_without_svm),
		T(no_gpu),
		T(gpu_of_another_cgroup_does_not_count),
		T(no_topology),
		T(gpu_without_svm),
		T(gpu_hidden_from_the_process),
		T(render_node),
		T(acquire_refused),
		T(one_good_gpu_of_three_is_enough),
		T(three_bad_gpus_are_told_as_such),
		T(facts_of_a_gpu),
		T(uses_the_file_of_libdrm),
		T(takes_its_own_file_without_libdrm),
		T(busy_means_acquired_already),
		T(old_thunk_goes_first),
		T(new_thunk_is_left_alone),
		T(thunk_of_the_parent_is_made_to_let_go),
		T(file_of_the_parent_without_thunk),
		T(options_are_sized_by_the_caller),
		T(results_are_sized_by_the_caller),
	};

	return cmocka_run_group_tests_name("shim_open", tests, NULL, NULL);
}
