// SPDX-License-Identifier: MIT
/* kfdsvm doctor: each cause, made on a machine that is a folder. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "cli_tree.h"
#include "doctor.h"

#define GFX90A	90010
#define GFX1030	100300
#define PCI	"/sys/bus/pci/devices/0000:03:00.0"

static struct findings findings;

static bool examine(struct tree *tree, const char *hsa_xnack, const char *program)
{
	struct machine machine = {
		.root = tree->root,
		.svm = tree_open(tree),
		.hsa_xnack = hsa_xnack,
		.program = program,
	};
	bool works;

	memset(&findings, 0, sizeof(findings));
	works = doctor_check(&machine, &findings);
	kfdsvm_close(machine.svm);
	return works;
}

static const struct finding *find(enum verdict verdict, const char *id)
{
	for (unsigned int i = 0; i < findings.n; i++)
		if (findings.list[i].verdict == verdict && !strcmp(findings.list[i].id, id))
			return &findings.list[i];
	return NULL;
}

static unsigned int count(enum verdict verdict)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < findings.n; i++)
		n += findings.list[i].verdict == verdict;
	return n;
}

/* Is told with words of what it is, and of what helps. */
static void expect(enum verdict verdict, const char *id, const char *what, const char *fix)
{
	const struct finding *finding = find(verdict, id);

	if (!finding) {
		for (unsigned int i = 0; i < findings.n; i++)
			print_message("%u %s: %s; %s\n", findings.list[i].verdict,
				      findings.list[i].id, findings.list[i].what,
				      findings.list[i].fix);
		fail_msg("no finding %s", id);
		return;
	}
	if (!strstr(finding->what, what) || !strstr(finding->fix, fix))
		fail_msg("%s says '%s', fix '%s'", id, finding->what, finding->fix);
}

static void add_pci(struct tree *tree, unsigned int device, const char *driver)
{
	tree_write(tree, PCI "/vendor", "0x1002\n");
	tree_write(tree, PCI "/class", "0x030000\n");
	tree_write(tree, PCI "/device", "0x%04x\n", device);
	if (driver)
		tree_link(tree, PCI "/driver", driver);
}

static void a_machine_that_works_has_no_cause(void **state)
{
	struct tree *tree = *state;

	tree_add_driver(tree);
	add_pci(tree, 0x687f, "../../../bus/pci/drivers/amdgpu");
	assert_true(examine(tree, NULL, NULL));
	assert_int_equal(count(VERDICT_FAIL), 0);
	assert_int_equal(count(VERDICT_WARN), 0);
	assert_non_null(find(VERDICT_OK, "kernel-version"));
	assert_non_null(find(VERDICT_OK, "module"));
	assert_non_null(find(VERDICT_OK, "pci"));
	assert_non_null(find(VERDICT_OK, "kfd"));
	assert_non_null(find(VERDICT_OK, "gpu"));
}

static void no_module(void **state)
{
	struct tree *tree = *state;

	add_pci(tree, 0x687f, NULL);
	assert_false(examine(tree, NULL, NULL));
	expect(VERDICT_FAIL, "module-not-loaded", "no driver", "modprobe amdgpu");
	expect(VERDICT_FAIL, "pci-no-driver", "1002:687f", "modprobe amdgpu");
	expect(VERDICT_FAIL, "no-kfd", "/dev/kfd", "modprobe amdgpu");
	assert_null(find(VERDICT_FAIL, "pci-none"));
	assert_null(find(VERDICT_FAIL, "nomodeset"));
	assert_null(find(VERDICT_FAIL, "module-blacklisted"));
}

static void no_gpu_on_the_bus(void **state)
{
	struct tree *tree = *state;

	/* Sound of AMD, and another's graphics. */
	tree_write(tree, PCI "/vendor", "0x1002\n");
	tree_write(tree, PCI "/class", "0x040300\n");
	tree_write(tree, PCI "/device", "0xaaf8\n");
	tree_write(tree, "/sys/bus/pci/devices/0000:04:00.0/vendor", "0x10de\n");
	tree_write(tree, "/sys/bus/pci/devices/0000:04:00.0/class", "0x030000\n");
	tree_write(tree, "/sys/bus/pci/devices/0000:04:00.0/device", "0x1234\n");
	assert_false(examine(tree, NULL, NULL));
	expect(VERDICT_FAIL, "pci-none", "no AMD GPU", "put one in");
}

static void module_is_kept_out(void **state)
{
	struct tree *tree = *state;

	tree_write(tree, "/proc/cmdline", "ro nomodeset modprobe.blacklist=foo,amdgpu\n");
	tree_write(tree, "/etc/modprobe.d/a.conf", "# blacklist amdgpu\noptions amdgpu x=1\n");
	assert_false(examine(tree, NULL, NULL));
	expect(VERDICT_FAIL, "nomodeset", "nomodeset", "take nomodeset off");
	expect(VERDICT_FAIL, "module-blacklisted", "command line", "blacklist");
	tree_write(tree, "/proc/cmdline", "ro\n");
	assert_false(examine(tree, NULL, NULL));
	assert_null(find(VERDICT_FAIL, "module-blacklisted"));
	tree_write(tree, "/usr/lib/modprobe.d/b.conf", "options x\nblacklist amdgpu\n");
	assert_false(examine(tree, NULL, NULL));
	expect(VERDICT_FAIL, "module-blacklisted", "/usr/lib/modprobe.d/b.conf",
	       "update-initramfs");
}

static void driver_of_the_device(void **state)
{
	static const struct {
		const char *driver;
		const char *id;
	} drivers[] = {
		{ "vfio-pci", "pci-vfio" }, { "radeon", "pci-radeon" }, { "other", "pci-driver" },
	};
	struct tree *tree = *state;
	char link[64];

	for (size_t i = 0; i < sizeof(drivers) / sizeof(drivers[0]); i++) {
		snprintf(link, sizeof(link), "/sys/bus/pci/drivers/%s", drivers[i].driver);
		add_pci(tree, 0x687f, link);
		assert_false(examine(tree, NULL, NULL));
		expect(VERDICT_FAIL, drivers[i].id, drivers[i].driver, "");
		tree_remove(tree, PCI "/driver");
	}
}

static void virtual_functions(void **state)
{
	struct tree *tree = *state;

	tree_add_driver(tree);
	add_pci(tree, 0x74b5, "/sys/bus/pci/drivers/amdgpu");
	assert_true(examine(tree, NULL, NULL));
	expect(VERDICT_WARN, "sriov", "SR-IOV", "host");
	add_pci(tree, 0x740f, NULL);
	assert_true(examine(tree, NULL, NULL));
	assert_null(find(VERDICT_WARN, "sriov"));
	tree_write(tree, "/sys/bus/pci/devices/0000:02:00.0/vendor", "0x1002\n");
	tree_link(tree, PCI "/physfn", "../0000:02:00.0");
	assert_true(examine(tree, NULL, NULL));
	expect(VERDICT_WARN, "sriov", "0000:03:00.0", "host");
}

/* The driver can do it, each process for itself, and refuses: no hardware is to blame. */
static void virtual_function_without_xnack(void **state)
{
	struct tree *tree = *state;

	tree->fake.gpus[0].gfx_version = GFX90A;
	tree->fake.xnack_set_error = -EPERM;
	tree_add_driver(tree);
	assert_true(examine(tree, NULL, NULL));
	expect(VERDICT_WARN, "xnack-driver", "SR-IOV", "share memory");
}

static void old_kernel(void **state)
{
	struct tree *tree = *state;

	tree_write(tree, "/proc/sys/kernel/osrelease", "5.13.19-2-generic\n");
	assert_false(examine(tree, NULL, NULL));
	expect(VERDICT_FAIL, "kernel-version", "5.13.19", "5.14");
	tree_write(tree, "/proc/sys/kernel/osrelease", "5.14.0\n");
	examine(tree, NULL, NULL);
	assert_null(find(VERDICT_FAIL, "kernel-version"));
	tree_remove(tree, "/proc");
	examine(tree, NULL, NULL);
	expect(VERDICT_WARN, "kernel-version", "does not tell", "/proc");
}

static void kernel_options(void **state)
{
	struct tree *tree = *state;

	tree_add_driver(tree);
	tree_write(tree, "/boot/config-7.3.4+test",
		   "CONFIG_HSA_AMD=y\n# CONFIG_DEVICE_PRIVATE is not set\nCONFIG_HMM_MIRROR=y\n");
	/* Our driver does without. */
	assert_true(examine(tree, NULL, NULL));
	expect(VERDICT_NOTE, "kernel-option", "CONFIG_HSA_AMD_SVM", "");
	tree->fake.xnack_query_error = -EPERM;
	assert_false(examine(tree, NULL, NULL));
	expect(VERDICT_FAIL, "kernel-no-svm", "refuses SVM", "CONFIG_HSA_AMD_SVM=y");
	expect(VERDICT_FAIL, "kernel-option", "CONFIG_HSA_AMD_SVM", "CONFIG_HSA_AMD_SVM=y");
	assert_int_equal(count(VERDICT_FAIL), 3);
	/* The same file, where Fedora and Arch have it. */
	tree_remove(tree, "/boot");
	tree_write(tree, "/usr/lib/modules/7.3.4+test/config", "CONFIG_HSA_AMD_SVM=y\n");
	assert_false(examine(tree, NULL, NULL));
	expect(VERDICT_FAIL, "kernel-option", "CONFIG_HSA_AMD:", "CONFIG_HSA_AMD=y");
	assert_int_equal(count(VERDICT_FAIL), 4);
}

static void kfd_without_svm(void **state)
{
	struct tree *tree = *state;

	tree->fake.minor = 4;
	tree_add_driver(tree);
	assert_false(examine(tree, NULL, NULL));
	expect(VERDICT_FAIL, "kfd-version", "1.4", "5.14");
}

static void no_kfd_for_amdgpu(void **state)
{
	struct tree *tree = *state;

	tree_write(tree, "/sys/module/amdgpu/initstate", "live\n");
	assert_false(examine(tree, NULL, NULL));
	expect(VERDICT_FAIL, "no-kfd", "amdgpu is loaded", "CONFIG_HSA_AMD=y");
	assert_null(find(VERDICT_FAIL, "module-not-loaded"));
}

static void container_without_kfd(void **state)
{
	struct tree *tree = *state;

	tree_add_driver(tree);
	tree_remove(tree, "/dev/kfd");
	assert_false(examine(tree, NULL, NULL));
	expect(VERDICT_FAIL, "kfd-hidden", "no /dev/kfd", "--device=/dev/kfd");
}

static void groups(void **state)
{
	struct tree *tree = *state;

	tree->fake.kfd_error = -EACCES;
	tree_add_driver(tree);
	assert_false(examine(tree, NULL, NULL));
	expect(VERDICT_FAIL, "kfd-permission", "group render, mode 0660", "usermod -aG render");
	tree->fake.member = 1;
	examine(tree, NULL, NULL);
	expect(VERDICT_FAIL, "kfd-permission", "", "cgroup");
	tree->fake.member = 2;
	examine(tree, NULL, NULL);
	expect(VERDICT_FAIL, "kfd-permission", "", "log in again");
	tree->fake.mode = 0600;
	examine(tree, NULL, NULL);
	expect(VERDICT_FAIL, "kfd-permission", "mode 0600", "udev");
}

static void kfd_fails_otherwise(void **state)
{
	struct tree *tree = *state;

	tree->fake.kfd_error = -EIO;
	tree_add_driver(tree);
	assert_false(examine(tree, NULL, NULL));
	expect(VERDICT_FAIL, "kfd-error", "errno 5", "");
}

static void topology(void **state)
{
	struct tree *tree = *state;

	tree_add_driver(tree);
	tree_remove(tree, SYS_TOPOLOGY "/nodes");
	assert_false(examine(tree, NULL, NULL));
	expect(VERDICT_FAIL, "no-topology", "cannot be read", "sysfs");
	tree_write(tree, SYS_TOPOLOGY "/nodes/0/gpu_id", "0\n");
	assert_false(examine(tree, NULL, NULL));
	expect(VERDICT_FAIL, "no-gpu", "no GPU", "kernel log");
}

static void render_nodes(void **state)
{
	struct tree *tree = *state;

	tree_add_driver(tree);
	tree_remove(tree, "/dev/dri");
	assert_false(examine(tree, NULL, NULL));
	expect(VERDICT_FAIL, "render-missing", "/dev/dri/renderD", "--device=/dev/dri");
	tree->fake.gpus[0].render_error = -EACCES;
	tree_add_driver(tree);
	assert_false(examine(tree, NULL, NULL));
	expect(VERDICT_FAIL, "render-permission", "group render", "usermod");
	tree->fake.gpus[0].render_error = -EIO;
	assert_false(examine(tree, NULL, NULL));
	expect(VERDICT_FAIL, "render-error", "errno 5", "");
}

static void gpu_of_another_cgroup(void **state)
{
	struct tree *tree = *state;

	tree->fake.gpus[0].no_aperture = true;
	tree_add_driver(tree);
	assert_false(examine(tree, NULL, NULL));
	expect(VERDICT_FAIL, "gpu-hidden", "not among", "cgroup");
}

static void address_space_is_refused(void **state)
{
	struct tree *tree = *state;

	tree->fake.gpus[0].acquire_error = -EINVAL;
	tree_add_driver(tree);
	assert_false(examine(tree, NULL, NULL));
	expect(VERDICT_FAIL, "acquire", "errno 22", "fork");
}

static void gpu_without_svm(void **state)
{
	struct tree *tree = *state;

	tree->fake.gpus[0].capability = 0;
	tree->fake.gpus[0].gfx_version = 80003;
	tree_add_driver(tree);
	assert_false(examine(tree, NULL, NULL));
	expect(VERDICT_FAIL, "gpu-no-svm", "gfx803", "GFX9");
	tree->fake.gpus[0].gfx_version = GFX1030;
	tree_add_driver(tree);
	tree_write(tree, "/boot/config-7.3.4+test", "CONFIG_HSA_AMD=y\n");
	assert_false(examine(tree, NULL, NULL));
	expect(VERDICT_FAIL, "gpu-no-svm", "gfx1030", "CONFIG_HSA_AMD_SVM");
	expect(VERDICT_FAIL, "kernel-option", "CONFIG_HSA_AMD_SVM", "backports");
}

static void mixed_gpus(void **state)
{
	struct tree *tree = *state;

	tree->fake.gpus[0].gfx_version = GFX90A;
	fake_add_gpu(&tree->fake, 0x77, GFX1030);
	tree->fake.xnack_set_error = -EPERM;
	tree_add_driver(tree);
	assert_true(examine(tree, NULL, NULL));
	expect(VERDICT_WARN, "mixed-xnack", "gfx90a) could replay faults, but not beside", "hide");
	expect(VERDICT_NOTE, "xnack-hardware", "gfx1030", "");
	expect(VERDICT_NOTE, "xnack-off", "XNACK is off", "kfdsvm run");
	assert_null(find(VERDICT_WARN, "mixed-gpus"));
	tree->fake.gpus[1].capability = 0;
	tree_add_driver(tree);
	assert_true(examine(tree, NULL, NULL));
	expect(VERDICT_WARN, "mixed-gpus", "1 of 2 GPUs", "ROCR_VISIBLE_DEVICES");
	expect(VERDICT_WARN, "gpu-no-svm", "gfx1030", "");
}

static void xnack(void **state)
{
	struct tree *tree = *state;

	tree_add_driver(tree);
	assert_true(examine(tree, NULL, NULL));
	expect(tree->fake.xnack ? VERDICT_OK : VERDICT_NOTE, tree->fake.xnack ? "xnack" :
	       "xnack-off", "XNACK is", "");
	tree->fake.xnack = 0;
	assert_true(examine(tree, NULL, NULL));
	expect(VERDICT_NOTE, "xnack-off", "can be switched on", "HSA_XNACK=1");
	assert_true(examine(tree, "1", NULL));
	expect(VERDICT_OK, "xnack", "XNACK is on", "");
	tree->fake.xnack_set_error = -EPERM;
	assert_true(examine(tree, NULL, NULL));
	expect(VERDICT_WARN, "xnack-driver", "its driver was loaded so", "noretry=0");
	assert_true(examine(tree, "1", NULL));
	expect(VERDICT_WARN, "hsa-xnack", "no effect", "unset HSA_XNACK");
	tree->fake.xnack_set_error = -EBUSY;
	assert_true(examine(tree, NULL, NULL));
	expect(VERDICT_NOTE, "xnack-busy", "queue", "HSA_XNACK");
}

static const char *program(struct tree *tree, const char *targets)
{
	static char path[128];

	tree_write(tree, "/program", "ELF%c%s%c", 1, targets, 2);
	snprintf(path, sizeof(path), "%s/program", tree->root);
	return path;
}

#define CODE(target) "hipv4-amdgcn-amd-amdhsa--" target "\1"

static void builds(void **state)
{
	struct tree *tree = *state;

	tree->fake.gpus[0].gfx_version = GFX90A;
	tree->fake.xnack = 0;
	tree_add_driver(tree);
	examine(tree, NULL, program(tree, "nothing"));
	expect(VERDICT_NOTE, "program", "no GPU code", "");
	examine(tree, NULL, program(tree, CODE("gfx1030") CODE("gfx90a")));
	expect(VERDICT_OK, "program", "gfx90a", "");
	examine(tree, NULL, program(tree, CODE("gfx1030") CODE("gfx906:xnack+")));
	expect(VERDICT_FAIL, "program-target", "no code for gpu 4660 (gfx90a)", "--offload-arch");
	examine(tree, NULL, program(tree, CODE("gfx90a:sramecc+:xnack+")));
	expect(VERDICT_FAIL, "program-xnack", "XNACK on", "HSA_XNACK=1");
	examine(tree, "1", program(tree, CODE("gfx90a:sramecc+:xnack+")));
	expect(VERDICT_OK, "program", "gfx90a", "");
	examine(tree, "1", program(tree, CODE("gfx90a:xnack-")));
	expect(VERDICT_FAIL, "program-xnack", "XNACK off", "HSA_XNACK=0");
	examine(tree, "1", program(tree, CODE("gfx90a:xnack-") CODE("gfx90a:xnack+")));
	expect(VERDICT_OK, "program", "gfx90a", "");
	tree->fake.xnack_set_error = -EPERM;
	examine(tree, NULL, program(tree, CODE("gfx90a:xnack+")));
	expect(VERDICT_FAIL, "program-xnack", "XNACK on", "without :xnack+");
	examine(tree, NULL, "/nonexistent");
	expect(VERDICT_FAIL, "program-file", "No such file", "");
}

static void targets_of_any_text(void **state)
{
	struct tree *tree = *state;
	struct target list[4];

	assert_int_equal(doctor_targets(program(tree, ""), list, 4), 0);
	/* Cut short, too long, no number, the same twice, more than there is room for. */
	assert_int_equal(doctor_targets(program(tree, "amdgcn-amd-amdhsa--gf"), list, 4), 0);
	assert_int_equal(doctor_targets(program(tree, CODE("gfx")), list, 4), 0);
	assert_int_equal(doctor_targets(program(tree, CODE("gfx9000000000000000")), list, 4), 0);
	assert_int_equal(doctor_targets(program(tree, CODE("gfx906:") CODE("gfx906")), list, 4),
			 1);
	assert_string_equal(list[0].gfx_name, "gfx906");
	assert_int_equal(list[0].xnack, 0);
	assert_int_equal(doctor_targets(program(tree, CODE("gfx900:xnack-") CODE("gfx906")
						CODE("gfx908") CODE("gfx90a") CODE("gfx942")),
					list, 4), 4);
	assert_int_equal(list[0].xnack, '-');
	assert_int_equal(doctor_targets(tree->root, list, 4), -EINVAL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, tree_setup, tree_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_machine_that_works_has_no_cause),
		TEST(no_module),
		TEST(no_gpu_on_the_bus),
		TEST(module_is_kept_out),
		TEST(driver_of_the_device),
		TEST(virtual_functions),
		TEST(virtual_function_without_xnack),
		TEST(old_kernel),
		TEST(kernel_options),
		TEST(kfd_without_svm),
		TEST(no_kfd_for_amdgpu),
		TEST(container_without_kfd),
		TEST(groups),
		TEST(kfd_fails_otherwise),
		TEST(topology),
		TEST(render_nodes),
		TEST(gpu_of_another_cgroup),
		TEST(address_space_is_refused),
		TEST(gpu_without_svm),
		TEST(mixed_gpus),
		TEST(xnack),
		TEST(builds),
		TEST(targets_of_any_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
