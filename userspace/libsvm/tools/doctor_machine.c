// SPDX-License-Identifier: MIT
/* What /proc, /sys, /boot and /etc tell: kernel, module and PCI devices. */
#include "doctor.h"

#include <ctype.h>
#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PCI_AMD		0x1002u
#define OLDEST_MAJOR	5u
#define OLDEST_MINOR	14u

/* A path below the root, in @to of PATH_MAX bytes; "" if it is too long. */
static const char *join(char *to, const struct machine *m, const char *dir, const char *name)
{
	if (snprintf(to, PATH_MAX, "%s%s%s%s", m->root, dir, *name ? "/" : "", name) >= PATH_MAX)
		to[0] = '\0';
	return to;
}

/* The first line of a file, without its newline; false if there is none. */
static bool read_line(const struct machine *m, const char *dir, const char *name, char *line,
		      size_t len)
{
	char path[PATH_MAX];
	FILE *file = fopen(join(path, m, dir, name), "re");
	bool ok;

	if (!file)
		return false;
	ok = fgets(line, (int)len, file);
	fclose(file);
	if (ok)
		line[strcspn(line, "\n")] = '\0';
	return ok;
}

static bool exists(const struct machine *m, const char *dir, const char *name)
{
	char path[PATH_MAX];

	return !access(join(path, m, dir, name), F_OK);
}

/* ---- kernel --------------------------------------------------------------- */

static const struct {
	const char *name;
	const char *why;
} options[] = {
	{ "HSA_AMD", "amdgpu has no /dev/kfd" },
	{ "HSA_AMD_SVM", "amdgpu has no SVM" },
	{ "DEVICE_PRIVATE", "memory cannot move to VRAM, and HSA_AMD_SVM needs it" },
	{ "HMM_MIRROR", "GPUs cannot follow the CPU's page tables" },
};

#define NOPTIONS (sizeof(options) / sizeof(options[0]))

static FILE *open_config(const struct machine *m, const char *release)
{
	static const struct {
		const char *dir;
		const char *before;
		const char *after;
	} places[] = {
		{ "/boot", "config-", "" },
		{ "/lib/modules", "", "/config" },
		{ "/usr/lib/modules", "", "/config" },
	};
	char name[192], path[PATH_MAX];
	FILE *file = NULL;

	for (size_t i = 0; !file && i < sizeof(places) / sizeof(places[0]); i++) {
		snprintf(name, sizeof(name), "%s%s%s", places[i].before, release,
			 places[i].after);
		file = fopen(join(path, m, places[i].dir, name), "re");
	}
	return file;
}

/* Which of the options are on, as bits; false if no configuration is found. */
static bool read_config(const struct machine *m, const char *release, unsigned int *on)
{
	FILE *file = open_config(m, release);
	char line[512], want[64];

	*on = 0;
	if (!file)
		return false;
	while (fgets(line, sizeof(line), file)) {
		for (size_t i = 0; i < NOPTIONS; i++) {
			size_t len = (size_t)snprintf(want, sizeof(want), "CONFIG_%s=",
						      options[i].name);

			if (!strncmp(line, want, len) && (line[len] == 'y' || line[len] == 'm'))
				*on |= 1u << i;
		}
	}
	fclose(file);
	return true;
}

/* A missing option is the cause of some failures; where SVM works, it is a note at most. */
static void check_options(const struct kfdsvm_why *why, unsigned int on, struct findings *f)
{
	bool cause = why->reason == KFDSVM_REASON_KERNEL_NO_SVM ||
		     why->reason == KFDSVM_REASON_GPU_NO_SVM ||
		     why->reason == KFDSVM_REASON_NO_USABLE_GPU ||
		     why->reason == KFDSVM_REASON_NO_KFD;
	char fix[256];

	for (size_t i = 0; i < NOPTIONS; i++) {
		if (on & 1u << i)
			continue;
		snprintf(fix, sizeof(fix), "use a kernel with CONFIG_%s=y (Debian 13: that of "
			 "backports)", options[i].name);
		if (cause)
			doctor_add(f, VERDICT_FAIL, "kernel-option", fix,
				   "the kernel was built without CONFIG_%s: %s", options[i].name,
				   options[i].why);
		else if (why->reason == KFDSVM_REASON_NONE)
			doctor_add(f, VERDICT_NOTE, "kernel-option", NULL,
				   "the kernel was built without CONFIG_%s; SVM works without it",
				   options[i].name);
	}
}

void doctor_check_kernel(const struct machine *m, const struct kfdsvm_why *why,
			 struct findings *f)
{
	unsigned int major, minor, on;
	char release[128];

	if (!read_line(m, "/proc/sys/kernel", "osrelease", release, sizeof(release)) ||
	    sscanf(release, "%u.%u", &major, &minor) != 2) {
		doctor_add(f, VERDICT_WARN, "kernel-version", "see that /proc is mounted",
			   "the kernel does not tell its version");
		return;
	}
	if (major < OLDEST_MAJOR || (major == OLDEST_MAJOR && minor < OLDEST_MINOR))
		doctor_add(f, VERDICT_FAIL, "kernel-version", "use Linux 5.14 or later",
			   "Linux %s is older than SVM", release);
	else
		doctor_add(f, VERDICT_OK, "kernel-version", NULL, "Linux %s", release);
	if (read_config(m, release, &on))
		check_options(why, on, f);
	else
		doctor_add(f, VERDICT_NOTE, "kernel-option", NULL,
			   "the configuration of this kernel is not in /boot or /lib/modules");
}

/* ---- module --------------------------------------------------------------- */

/* Is there a line "blacklist amdgpu" in a file of modprobe.d? */
static bool file_blacklists(const char *path)
{
	char line[512], word[16], name[64];
	bool found = false;
	FILE *file = fopen(path, "re");

	while (file && !found && fgets(line, sizeof(line), file))
		found = (sscanf(line, " %15s %63s", word, name) == 2 &&
			 !strcmp(word, "blacklist") && !strcmp(name, "amdgpu")) ||
			(sscanf(line, " install %63s /bin/%15s", name, word) == 2 &&
			 !strcmp(name, "amdgpu") &&
			 (!strcmp(word, "true") || !strcmp(word, "false")));
	if (file)
		fclose(file);
	return found;
}

static bool is_blacklisted(const struct machine *m, char *where, size_t len)
{
	static const char *const dirs[] = {
		"/etc/modprobe.d", "/run/modprobe.d", "/usr/lib/modprobe.d", "/lib/modprobe.d",
	};
	char path[PATH_MAX];
	struct dirent *entry;
	bool found = false;

	for (size_t i = 0; !found && i < sizeof(dirs) / sizeof(dirs[0]); i++) {
		DIR *dir = opendir(join(path, m, dirs[i], ""));

		while (dir && !found && (entry = readdir(dir))) {
			size_t end = strlen(entry->d_name);

			if (end < 5 || strcmp(entry->d_name + end - 5, ".conf"))
				continue;
			found = file_blacklists(join(path, m, dirs[i], entry->d_name));
			if (found)
				snprintf(where, len, "%s/%.64s", dirs[i], entry->d_name);
		}
		if (dir)
			closedir(dir);
	}
	return found;
}

/* Is @word one of the words of the kernel's command line? */
static bool cmdline_has(const struct machine *m, const char *word, bool prefix)
{
	char line[4096], *at, *save;

	if (!read_line(m, "/proc", "cmdline", line, sizeof(line)))
		return false;
	for (at = strtok_r(line, " ", &save); at; at = strtok_r(NULL, " ", &save))
		if (prefix ? !strncmp(at, word, strlen(word)) && strstr(at, "amdgpu") :
			     !strcmp(at, word))
			return true;
	return false;
}

/* Why amdgpu is not loaded, if something forbids it. */
static void check_not_loaded(const struct machine *m, struct findings *f)
{
	char where[160];

	if (cmdline_has(m, "nomodeset", false))
		doctor_add(f, VERDICT_FAIL, "nomodeset",
			   "take nomodeset off the kernel's command line and reboot",
			   "the kernel was started with nomodeset: amdgpu refuses to load");
	if (cmdline_has(m, "modprobe.blacklist=", true) ||
	    cmdline_has(m, "module_blacklist=", true))
		doctor_add(f, VERDICT_FAIL, "module-blacklisted",
			   "take amdgpu out of the blacklist on the kernel's command line",
			   "the kernel's command line forbids the module amdgpu");
	if (is_blacklisted(m, where, sizeof(where)))
		doctor_add(f, VERDICT_FAIL, "module-blacklisted",
			   "take that line out, run update-initramfs -u and reboot",
			   "%s forbids the module amdgpu", where);
}

void doctor_check_module(const struct machine *m, const struct kfdsvm_why *why,
			 struct findings *f)
{
	bool amdgpu = exists(m, "/sys/module", "amdgpu");

	if (exists(m, "/sys/module", "vamdgpu"))
		doctor_add(f, VERDICT_NOTE, "virtual-gpu", NULL,
			   "module vamdgpu is loaded: GPUs here are virtual");
	else if (amdgpu)
		doctor_add(f, VERDICT_OK, "module", NULL, "module amdgpu is loaded");
	if (amdgpu || why->reason != KFDSVM_REASON_NO_KFD)
		return;
	doctor_add(f, VERDICT_FAIL, "module-not-loaded",
		   "modprobe amdgpu as root, and see dmesg if there is no /dev/kfd then",
		   "no driver for AMD GPUs is loaded");
	check_not_loaded(m, f);
}

/* ---- PCI ------------------------------------------------------------------ */

/*
 * Devices that are virtual functions wherever they are seen, as AMD numbers them. In the
 * guest nothing else tells; on the host there is "physfn".
 */
static bool is_virtual_function(const struct machine *m, const char *dir, unsigned int device)
{
	static const unsigned int ids[] = {
		0x686c,		/* MI25 */
		0x7410,		/* MI210 */
		0x73ae,		/* V620 */
		0x7461,		/* V710 */
		0x74b5,		/* MI300X */
		0x74b9,		/* MI325X */
	};
	if (exists(m, dir, "physfn"))
		return true;
	for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++)
		if (ids[i] == device)
			return true;
	return false;
}

static bool read_hex(const struct machine *m, const char *dir, const char *name,
		     unsigned int *value)
{
	char line[32];

	return read_line(m, dir, name, line, sizeof(line)) && sscanf(line, "%x", value) == 1;
}

/* The name of the driver of a device, or "". */
static void read_driver(const struct machine *m, const char *dir, char *driver, size_t len)
{
	char path[PATH_MAX], link[PATH_MAX];
	const char *name;
	ssize_t n;

	driver[0] = '\0';
	n = readlink(join(path, m, dir, "driver"), link, sizeof(link) - 1);
	if (n <= 0)
		return;
	link[n] = '\0';
	name = strrchr(link, '/');
	snprintf(driver, len, "%.63s", name ? name + 1 : link);
}

static void check_driver(const struct machine *m, const char *dir, const char *slot,
			 unsigned int device, struct findings *f)
{
	char driver[64];

	read_driver(m, dir, driver, sizeof(driver));
	if (!strcmp(driver, "amdgpu"))
		doctor_add(f, VERDICT_OK, "pci", NULL, "%s (1002:%04x) is driven by amdgpu", slot,
			   device);
	else if (!strncmp(driver, "vfio", 4))
		doctor_add(f, VERDICT_FAIL, "pci-vfio",
			   "unbind it from vfio-pci and bind it to amdgpu, or work in the guest",
			   "%s (1002:%04x) is kept for virtual machines by %s", slot, device,
			   driver);
	else if (!strcmp(driver, "radeon"))
		doctor_add(f, VERDICT_FAIL, "pci-radeon",
			   "use a GPU of generation GFX9 (Vega) or later",
			   "%s (1002:%04x) is driven by radeon: it is too old for SVM", slot,
			   device);
	else if (*driver)
		doctor_add(f, VERDICT_FAIL, "pci-driver", "bind it to amdgpu",
			   "%s (1002:%04x) is driven by %s", slot, device, driver);
	else
		doctor_add(f, VERDICT_FAIL, "pci-no-driver",
			   "modprobe amdgpu; if it stays so, see dmesg: firmware may be missing",
			   "%s (1002:%04x) has no driver", slot, device);
	if (is_virtual_function(m, dir, device))
		doctor_add(f, VERDICT_WARN, "sriov",
			   "update the host's driver, or give the guest the whole GPU",
			   "%s (1002:%04x) is a virtual function (SR-IOV): SVM and XNACK are as "
			   "the host allows", slot, device);
}

/* Display controllers and accelerators; bridges and sound of AMD are not meant. */
static bool is_gpu(unsigned int class)
{
	return class >> 16 == 0x03 || class >> 16 == 0x12;
}

void doctor_check_pci(const struct machine *m, const struct kfdsvm_why *why,
		      struct findings *f)
{
	static const char base[] = "/sys/bus/pci/devices";
	unsigned int vendor, class, device, n = 0;
	char path[PATH_MAX], slot[128];
	struct dirent *entry;
	DIR *dir = opendir(join(path, m, base, ""));

	while (dir && (entry = readdir(dir))) {
		snprintf(slot, sizeof(slot), "%s/%.64s", base, entry->d_name);
		if (!read_hex(m, slot, "vendor", &vendor) || vendor != PCI_AMD ||
		    !read_hex(m, slot, "class", &class) || !is_gpu(class) ||
		    !read_hex(m, slot, "device", &device))
			continue;
		n++;
		check_driver(m, slot, entry->d_name, device, f);
	}
	if (dir)
		closedir(dir);
	if (!n && !exists(m, "/sys/module", "vamdgpu") &&
	    (why->reason == KFDSVM_REASON_NO_KFD || why->reason == KFDSVM_REASON_NO_GPU))
		doctor_add(f, VERDICT_FAIL, "pci-none",
			   "put one in, pass it to this guest, or load the virtual GPU (./dev run)",
			   "no AMD GPU is on the PCI bus");
}
