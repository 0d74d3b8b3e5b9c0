// SPDX-License-Identifier: GPL-2.0-only
/* kfdsvm-matrix: counts, lists and runs the cells of the matrix. */
#include <getopt.h>
#include <sys/wait.h>

#include "cell.h"

static const char usage[] =
"usage: kfdsvm-matrix [OPTION]... [GLOB]...\n"
"Runs the cells whose name matches; all that this machine can have, without GLOB.\n"
"A name is kind/size/touch/event/mode/gpus, as in mmap/2m/cpu/mremap/xnack_on/1gpu.\n"
"  --list           print the names of the chosen cells and exit\n"
"  --impossible     print the cells that cannot be, and why\n"
"  --count          print how many cells there are, a line for each sort of VRAM\n"
"  --plan           print what is expected of the chosen cells\n"
"  --without GLOB   not these; may be given again\n"
"  --sample N       N of them: each kind x event x mode before one comes twice\n"
"  --seed N         which (default 1)\n"
"  --node N         topology node of the (first) GPU\n"
"  --gpus N         only cells with so many GPUs; without, as many as there are\n"
"  --vram KIND      what is in the machine, for --list and --plan, or must be there:\n"
"                   private, coherent, none\n"
"  --dir DIR        where files are made (default /tmp)\n"
"  --dax DIR        where files on DAX are made; without, there are no such cells\n"
"  --wrong COLUMN   make the expectation of data, errno, exception, residency or moves\n"
"                   wrong: a cell that does not fail then is a failure\n"
"  --timeout SECONDS  of one cell (default 60)\n"
"Exit code: 0 all passed, 1 a cell failed, 2 bad usage.\n";

enum { LIST = 256, IMPOSSIBLE, COUNT, PLAN, WITHOUT, SAMPLE, SEED, NODE, GPUS, VRAM, DIR_,
       DAX, WRONG, TIMEOUT };

static const struct option options[] = {
	{ "list", no_argument, NULL, LIST },
	{ "impossible", no_argument, NULL, IMPOSSIBLE },
	{ "count", no_argument, NULL, COUNT },
	{ "plan", no_argument, NULL, PLAN },
	{ "without", required_argument, NULL, WITHOUT },
	{ "sample", required_argument, NULL, SAMPLE },
	{ "seed", required_argument, NULL, SEED },
	{ "node", required_argument, NULL, NODE },
	{ "gpus", required_argument, NULL, GPUS },
	{ "vram", required_argument, NULL, VRAM },
	{ "dir", required_argument, NULL, DIR_ },
	{ "dax", required_argument, NULL, DAX },
	{ "wrong", required_argument, NULL, WRONG },
	{ "timeout", required_argument, NULL, TIMEOUT },
	{ "help", no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 },
};

static struct {
	struct mx_choice choice;
	int what;
	const char *vram;
	unsigned int gpus;
	bool xnack;
} cmd = { .choice.seed = 1, .xnack = true };

static bool add(const char **globs, unsigned int *n, const char *glob)
{
	if (*n == KT_ARRAY_SIZE(cmd.choice.globs))
		return false;
	globs[(*n)++] = glob;
	return true;
}

static bool find(const char *const *names, unsigned int n, const char *name,
		 unsigned int *found)
{
	for (unsigned int i = 0; i < n; i++) {
		if (!strcmp(names[i], name)) {
			*found = i;
			return true;
		}
	}
	return false;
}

static bool parse(int opt, const char *arg)
{
	unsigned int found;

	switch (opt) {
	case LIST: case IMPOSSIBLE: case COUNT: case PLAN:
		cmd.what = opt;
		return true;
	case WITHOUT: return add(cmd.choice.without, &cmd.choice.nwithout, arg);
	case SAMPLE:
		cmd.choice.sample = (unsigned int)atoi(arg);
		return cmd.choice.sample;
	case SEED: cmd.choice.seed = (unsigned int)atoi(arg); return true;
	case NODE: conf_run.node = atoi(arg); return true;
	case GPUS:
		cmd.gpus = (unsigned int)atoi(arg);
		return cmd.gpus == 1 || cmd.gpus == 2;
	case VRAM:
		cmd.vram = arg;
		return find(mx_vram_names, MX_NVRAMS, arg, &found);
	case DIR_: conf_run.dir = arg; return true;
	case DAX: mx_run.dax_dir = arg; return true;
	case WRONG:
		if (!find(mx_wrong_names, MX_NWRONGS, arg, &found))
			return false;
		mx_run.world.wrong = found;
		return true;
	case TIMEOUT: mx_run.timeout_s = (unsigned int)atoi(arg); return true;
	default: return false;
	}
}

/* Columns that say something about the cell. */
static bool column_counts(const struct mx_cell *cell)
{
	switch (mx_run.world.wrong) {
	case MX_WRONG_ERRNO:
		return cell->event != MX_NONE;
	case MX_WRONG_MOVES:
		/* Its neighbours may move, too: nothing is wrong with one page more. */
		return cell->kind != MX_MALLOC;
	default:
		return true;
	}
}

static unsigned int choose(struct mx_cell *cells)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < MX_NCELLS; i++) {
		struct mx_cell cell = mx_cell_at(i);

		if (!mx_impossible(&cell) && mx_named(&cmd.choice, &cell) &&
		    (!cmd.gpus || cell.gpus == cmd.gpus) && column_counts(&cell))
			cells[n++] = cell;
	}
	return n;
}

/* Leaves out cells for other machines, and says how many. */
static unsigned int keep_what_is_here(struct mx_cell *cells, unsigned int n)
{
	unsigned int kept = 0, dax = 0, gpus = 0, xnack = 0;

	for (unsigned int i = 0; i < n; i++) {
		if (cells[i].kind == MX_DAX && !mx_run.dax_dir)
			dax++;
		else if (cells[i].gpus > vram.ngpus)
			gpus++;
		else if (cells[i].mode == MX_XNACK_ON && !cmd.xnack)
			xnack++;
		else
			cells[kept++] = cells[i];
	}
	printf("# %u cells asked for; of other machines: %u on DAX, %u with two GPUs, %u with XNACK\n",
	       n, dax, gpus, xnack);
	return kept;
}

static void print_step(const char *name, const struct mx_step *s)
{
	printf("  %-10s ram %u-%u vram %u %u in %u %u out %u %u data %u\n", name,
	       s->ram_min, s->ram_max, s->vram[0], s->vram[1], s->in[0], s->in[1],
	       s->out[0], s->out[1], s->data);
}

static void print_plan(const struct mx_cell *cell)
{
	static const char *const exceptions[] = { "none", "no mapping", "read only" };
	struct mx_plan plan;

	mx_expect(cell, &mx_run.world, &plan);
	for (unsigned int i = 0; i < MX_NSTEPS; i++)
		print_step(mx_step_names[i], &plan.step[i]);
	printf("  event errno %d, exception: %s\n", plan.event_errno,
	       exceptions[plan.exception]);
}

static void print_cells(const struct mx_cell *cells, unsigned int n)
{
	char name[MX_NAME_LEN];

	for (unsigned int i = 0; i < n; i++) {
		mx_cell_name(&cells[i], name);
		puts(name);
		if (cmd.what == PLAN)
			print_plan(&cells[i]);
	}
}

static void print_impossible(void)
{
	char name[MX_NAME_LEN];

	for (unsigned int i = 0; i < MX_NCELLS; i++) {
		struct mx_cell cell = mx_cell_at(i);
		const char *why = mx_impossible(&cell);

		if (!why || !mx_named(&cmd.choice, &cell))
			continue;
		mx_cell_name(&cell, name);
		printf("%s: %s\n", name, why);
	}
}

static void print_counts(void)
{
	struct mx_world world = { .linked = true };
	struct mx_counts c;

	for (unsigned int i = 0; i < MX_NVRAMS; i++) {
		world.vram = i;
		mx_count(&world, &c);
		printf("vram=%s cells=%u possible=%u impossible=%u distinct=%u distinct_places=%u\n",
		       mx_vram_names[i], c.cells, c.possible, c.impossible, c.distinct,
		       c.distinct_places);
	}
}

/* Can the GPU replay faults? Asked in a process of its own. */
static bool has_xnack(void)
{
	struct kt_dev dev;
	int32_t on = 1;
	int status;
	pid_t pid = fork();

	if (!pid)
		_exit(kt_open(&dev, conf_run.node) || kt_xnack(dev.kfd, &on) ? 1 : 0);
	return pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) &&
	       !WEXITSTATUS(status);
}

static bool probe(void)
{
	static const enum mx_vram kinds[] = {
		[VRAM_NONE] = MX_VRAM_NONE, [VRAM_PRIVATE] = MX_VRAM_PRIVATE,
		[VRAM_COHERENT] = MX_VRAM_COHERENT,
	};

	vram_probe();
	cmd.xnack = has_xnack();
	mx_run.world.vram = kinds[vram.kind];
	mx_run.world.linked = vram.linked;
	printf("# VRAM is %s%s%s; %u GPU%s%s\n", mx_vram_names[mx_run.world.vram],
	       vram.kind == VRAM_NONE ? ": " : "", vram.kind == VRAM_NONE ? vram.why : "",
	       vram.ngpus, vram.ngpus > 1 ? "s" : "",
	       vram.ngpus < 2 ? "" : vram.linked ? " with a link" : " without a link");
	if (cmd.vram && !vram_is(cmd.vram)) {
		fprintf(stderr, "kfdsvm-matrix: VRAM is not %s: %s\n", cmd.vram, vram.why);
		return false;
	}
	return true;
}

/* Pages of the pool for the largest cell: its own, and those a fork copies. */
static long hugetlb_need(const struct mx_cell *cells, unsigned int n)
{
	unsigned int most = 0;

	for (unsigned int i = 0; i < n; i++)
		if (cells[i].kind == MX_HUGETLB && mx_npages(cells[i].size) > most)
			most = mx_npages(cells[i].size);
	return most ? 2 * (long)(most / MX_HUGE_PAGES) + 4 : 0;
}

static int run_chosen(const struct mx_cell *cells, unsigned int n)
{
	long need = hugetlb_need(cells, n), before = 0;
	int ret;

	if (need)
		before = hugetlb_pool(need);
	if (before < 0) {
		fprintf(stderr, "kfdsvm-matrix: no %ld pages for hugetlb\n", need);
		return 1;
	}
	ret = run_cells_in_processes(cells, n);
	if (need)
		hugetlb_pool(before);
	return ret;
}

int main(int argc, char **argv)
{
	static struct mx_cell cells[MX_NCELLS];
	unsigned int n, found;
	int opt;

	while ((opt = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		if (opt == 'h') {
			fputs(usage, stdout);
			return 0;
		}
		if (!parse(opt, optarg)) {
			fputs(usage, stderr);
			return 2;
		}
	}
	for (; optind < argc; optind++) {
		if (!add(cmd.choice.globs, &cmd.choice.nglobs, argv[optind])) {
			fputs(usage, stderr);
			return 2;
		}
	}
	if (cmd.what == COUNT || cmd.what == IMPOSSIBLE) {
		(cmd.what == COUNT ? print_counts : print_impossible)();
		return 0;
	}
	n = choose(cells);
	if (cmd.what == LIST || cmd.what == PLAN) {
		mx_run.world.linked = true;
		if (find(mx_vram_names, MX_NVRAMS, cmd.vram ?: "private", &found))
			mx_run.world.vram = found;
		print_cells(cells, mx_sample(&cmd.choice, cells, n));
		return 0;
	}
	if (!probe())
		return 1;
	n = mx_sample(&cmd.choice, cells, keep_what_is_here(cells, n));
	if (!n || n < cmd.choice.sample) {
		/* What runs nothing, or less than it says, must not look like success. */
		fprintf(stderr, "kfdsvm-matrix: %u cells match\n", n);
		return 2;
	}
	return run_chosen(cells, n);
}
