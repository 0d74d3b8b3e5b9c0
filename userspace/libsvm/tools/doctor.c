// SPDX-License-Identifier: MIT
/* kfdsvm doctor: why SVM does not work here, and what fixes it. */
#include "doctor.h"

#include <getopt.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>

#include "command.h"
#include "output.h"

static const struct {
	const char *word;
	enum colour colour;
} verdicts[] = {
	[VERDICT_OK] = { "ok", COLOUR_GOOD },
	[VERDICT_NOTE] = { "note", COLOUR_NONE },
	[VERDICT_WARN] = { "warn", COLOUR_WARN },
	[VERDICT_FAIL] = { "FAIL", COLOUR_BAD },
};

static void usage(FILE *to)
{
	fputs("usage: kfdsvm doctor [OPTION]... [PROGRAM]\n\n"
	      "Look for what keeps shared virtual memory from working and say, one line each,\n"
	      "what would fix it. With PROGRAM, look at its GPU code, too: whether there is some\n"
	      "for the GPUs here, and built for the XNACK mode that it will find.\n\n"
	      "  -j, --json     as JSON\n"
	      "  -q, --quiet    only what is wrong (warn and FAIL)\n"
	      "  -h, --help     this text\n"
	      "  -V, --version  the version\n\n"
	      "exit status: 0 SVM works, 1 it does not, 2 bad usage, 3 another error\n", to);
}

static void print(const struct findings *f, bool works, bool quiet)
{
	unsigned int causes = 0;

	for (unsigned int i = 0; i < f->n; i++) {
		const struct finding *finding = &f->list[i];

		causes += finding->verdict == VERDICT_FAIL;
		if (quiet && finding->verdict < VERDICT_WARN)
			continue;
		printf("%s%-4s%s  %s: %s", colour(verdicts[finding->verdict].colour),
		       verdicts[finding->verdict].word, colour(COLOUR_NONE), finding->id,
		       finding->what);
		printf("%s%s\n", finding->fix[0] ? "; fix: " : "", finding->fix);
	}
	if (quiet)
		return;
	if (works)
		printf("%sSVM works%s\n", colour(COLOUR_GOOD), colour(COLOUR_NONE));
	else
		printf("%sSVM does not work%s: %u %s\n", colour(COLOUR_BAD),
		       colour(COLOUR_NONE), causes, causes == 1 ? "cause" : "causes");
}

static void print_json(const struct findings *f, bool works)
{
	static const char *const words[] = { "ok", "note", "warn", "fail" };
	struct json_object *to = json_new(), *list = json_new_list();

	json_put_text(to, "version", kfdsvm_version());
	json_put_bool(to, "svm", works);
	for (unsigned int i = 0; i < f->n; i++) {
		struct json_object *finding = json_new();

		json_put_text(finding, "verdict", words[f->list[i].verdict]);
		json_put_text(finding, "id", f->list[i].id);
		json_put_text(finding, "what", f->list[i].what);
		json_put_text(finding, "fix", f->list[i].fix);
		if (json_object_array_add(list, finding))
			out_of_memory();
	}
	json_put(to, "findings", list);
	json_print(to, true);
}

static int doctor(const char *program, bool json, bool quiet)
{
	const struct kfdsvm_open_options options = {
		.size = sizeof(options),
		.flags = KFDSVM_OPEN_INSPECT,
	};
	struct machine machine = {
		.root = "",
		.hsa_xnack = getenv("HSA_XNACK"),
		.program = program,
	};
	static struct findings findings;
	bool works;
	int ret = kfdsvm_open(&machine.svm, &options);

	if (ret) {
		fprintf(stderr, "kfdsvm doctor: %s\n", kfdsvm_strerror(ret));
		return EXIT_ERROR;
	}
	works = doctor_check(&machine, &findings);
	kfdsvm_close(machine.svm);
	if (json)
		print_json(&findings, works);
	else
		print(&findings, works, quiet);
	return output_end(works ? EXIT_WORKS : EXIT_NO_SVM);
}

int command_doctor(int argc, char **argv)
{
	static const struct option long_options[] = {
		{ "json", no_argument, NULL, 'j' },
		{ "quiet", no_argument, NULL, 'q' },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },
		{ 0 },
	};
	bool json = false, quiet = false;
	int opt;

	while ((opt = getopt_long(argc, argv, "jqhV", long_options, NULL)) != -1) {
		switch (opt) {
		case 'j':
			json = true;
			break;
		case 'q':
			quiet = true;
			break;
		default:
			return command_option(opt, usage, EXIT_USAGE);
		}
	}
	if (argc - optind > 1) {
		usage(stderr);
		return EXIT_USAGE;
	}
	return doctor(argv[optind], json, quiet);
}
