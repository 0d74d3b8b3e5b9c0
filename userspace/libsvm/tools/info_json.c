// SPDX-License-Identifier: MIT
#include "info.h"

#include <json-c/json.h>
#include <stdio.h>

#include "output.h"

static struct json_object *why_json(const struct kfdsvm_why *why)
{
	struct json_object *to;

	if (why->reason == KFDSVM_REASON_NONE)
		return NULL;
	to = json_new();
	json_put_number(to, "reason", why->reason);
	json_put_text(to, "text", kfdsvm_reason_text(why->reason));
	json_put_text(to, "what", why->what);
	json_put_text(to, "fix", why->fix);
	return to;
}

static struct json_object *gpu_json(struct kfdsvm *svm, unsigned int index)
{
	static const char *const xnack[] = {
		[KFDSVM_XNACK_NEVER] = "never",
		[KFDSVM_XNACK_DRIVER] = "driver",
		[KFDSVM_XNACK_PROCESS] = "process",
	};
	struct kfdsvm_device_info info = { .size = sizeof(info) };
	struct kfdsvm_why why = { .size = sizeof(why) };
	struct json_object *to = json_new();

	if (kfdsvm_device_info(svm, index, &info) || kfdsvm_device_why(svm, index, &why))
		return to;
	json_put_number(to, "gpu_id", info.gpu_id);
	json_put_number(to, "node", info.node);
	json_put_text(to, "name", info.name);
	json_put_text(to, "gfx_name", info.gfx_name);
	json_put_number(to, "gfx_version", info.gfx_version);
	json_put_number(to, "vendor_id", info.vendor_id);
	json_put_number(to, "device_id", info.device_id);
	json_put_number(to, "render_minor", info.render_minor);
	json_put_number(to, "vram_bytes", info.vram_len);
	json_put_text(to, "xnack", info.xnack <= KFDSVM_XNACK_PROCESS ?
		      xnack[info.xnack] : "unknown");
	json_put_bool(to, "svm", info.svm);
	json_put_bool(to, "usable", info.usable);
	json_put(to, "why", why_json(&why));
	return to;
}

static struct json_object *xnack_json(struct kfdsvm *svm)
{
	struct kfdsvm_why why = { .size = sizeof(why) };
	struct json_object *to;
	int mode = kfdsvm_xnack_get(svm), possible = kfdsvm_xnack_why(svm, &why);

	if (mode < 0 || possible < 0)
		return NULL;
	to = json_new();
	json_put_bool(to, "on", mode);
	json_put_bool(to, "possible", possible);
	json_put(to, "why", why_json(&why));
	return to;
}

static struct json_object *limits_json(const struct limits *limits)
{
	struct json_object *to = json_new();

	json_put_number(to, "page_bytes", limits->page_len);
	json_put_number(to, "window_bytes",
			limits->window_len ? limits->window_len : KFDSVM_UNKNOWN);
	json_put_number(to, "attributes", limits->attributes);
	json_put_number(to, "vram_bytes", limits->vram_len);
	json_put_number(to, "memory_bytes", limits->memory_len);
	return to;
}

void info_print_json(struct kfdsvm *svm, const struct limits *limits)
{
	struct kfdsvm_why why = { .size = sizeof(why) };
	struct json_object *to = json_new(), *gpus = json_new_list();
	uint32_t major, minor;
	char version[32];

	kfdsvm_why(svm, &why);
	json_put_text(to, "version", kfdsvm_version());
	if (kfdsvm_kfd_version(svm, &major, &minor)) {
		json_put(to, "kfd", NULL);
	} else {
		snprintf(version, sizeof(version), "%u.%u", major, minor);
		json_put_text(to, "kfd", version);
	}
	json_put_bool(to, "svm", why.reason == KFDSVM_REASON_NONE);
	json_put(to, "why", why_json(&why));
	for (unsigned int i = 0; i < kfdsvm_device_count(svm); i++)
		if (json_object_array_add(gpus, gpu_json(svm, i)))
			out_of_memory();
	json_put(to, "gpus", gpus);
	json_put(to, "xnack", xnack_json(svm));
	json_put(to, "limits", limits_json(limits));
	json_print(to, true);
}
