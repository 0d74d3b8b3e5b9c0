// SPDX-License-Identifier: MIT
/* kfdsvm report: files of any kind. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "report.h"

#define FAULT	"{\"name\":\"f\",\"ph\":\"X\",\"cat\":\"fault\",\"ts\":1,\"dur\":2,\"pid\":3," \
		"\"tid\":1,\"args\":{\"addr\":\"0x200000\"}}"
#define MOVE	"{\"name\":\"m\",\"ph\":\"X\",\"cat\":\"migration\",\"ts\":1,\"dur\":4,\"pid\":3," \
		"\"tid\":1,\"args\":{\"addr\":\"0x0\",\"len\":4194304,\"trigger\":9,\"to\":1}}"

static int read_text(struct report *report, const char *text)
{
	size_t at;

	memset(report, 0, sizeof(*report));
	return report_read(report, text, strlen(text), &at);
}

static void expect_faults(const char *text, uint64_t n, bool cut)
{
	struct report report;

	assert_int_equal(read_text(&report, text), 0);
	assert_int_equal(report.faults, n);
	assert_int_equal(report.cut, cut);
	report_free(&report);
}

static void expect_bad(const char *text)
{
	struct report report;

	assert_int_equal(read_text(&report, text), -EBADMSG);
	report_free(&report);
}

static void forms_of_a_trace(void **state)
{
	(void)state;
	expect_faults("[]", 0, false);
	expect_faults("{}", 0, false);
	expect_faults("[" FAULT "]", 1, false);
	expect_faults("[" FAULT "," FAULT ",]", 2, false);
	expect_faults("{\"traceEvents\" : [ " FAULT " , " FAULT " ] }\n", 2, false);
	expect_faults("{\"a\":[1,{\"traceEvents\":[]}],\"traceEvents\":[" FAULT "],\"b\":null}", 1,
		      false);
	expect_faults("[1,\"x\",null,{\"cat\":3},{\"cat\":\"fault\",\"args\":7}," FAULT "]", 2,
		      false);
}

static void files_that_end_early(void **state)
{
	static const char whole[] = "{\"traceEvents\":[" FAULT "," FAULT "]}";
	char text[sizeof(whole)];

	(void)state;
	expect_faults("[" FAULT "," FAULT, 2, true);
	expect_faults("{\"traceEvents\":[" FAULT "]", 1, true);
	/* Wherever it ends, it is read as far as it goes. */
	for (size_t len = 1; len + 1 < sizeof(whole); len++) {
		struct report report;

		memcpy(text, whole, len);
		text[len] = '\0';
		assert_int_equal(read_text(&report, text), 0);
		assert_true(report.cut);
		assert_true(report.faults <= 2);
		report_free(&report);
	}
}

static void what_is_no_trace(void **state)
{
	(void)state;
	expect_bad("");
	expect_bad("hello");
	expect_bad("7");
	expect_bad("{\"traceEvents\":[}]}");
	expect_bad("[" FAULT FAULT "]");
	expect_bad("[" FAULT "] more");
	expect_bad("{1:2}");
	expect_bad("{\"a\" 2}");
}

static void time_is_shared_by_windows(void **state)
{
	const struct report_window *most[REPORT_MOST];
	struct report report;

	(void)state;
	assert_int_equal(read_text(&report, "[" MOVE "," FAULT "," FAULT "," FAULT "]"), 0);
	assert_int_equal(report.moves[REPORT_OTHER], 1);
	assert_int_equal(report.bytes_in, 4194304);
	assert_int_equal(report_most(&report, most), 2);
	assert_int_equal(most[0]->addr, 0x200000);
	assert_true(most[0]->us == 8);
	assert_int_equal(most[0]->faults, 3);
	assert_int_equal(most[1]->addr, 0);
	assert_true(most[1]->us == 2);
	assert_int_equal(most[1]->bytes_in, 2097152);
	report_free(&report);
}

static void ten_are_the_most(void **state)
{
	const struct report_window *most[REPORT_MOST];
	struct report report;
	char *text = NULL;
	size_t len, at;
	FILE *file = open_memstream(&text, &len);

	(void)state;
	fputc('[', file);
	for (unsigned int i = 0; i < 1000; i++)
		fprintf(file, "%s{\"cat\":\"fault\",\"dur\":%u.5,\"pid\":%u,\"args\":{\"addr\":"
			"\"0x%llx\"}}", i ? "," : "", i * 7 % 1000, i % 3,
			(unsigned long long)i << 21);
	fputc(']', file);
	fclose(file);
	memset(&report, 0, sizeof(report));
	assert_int_equal(report_read(&report, text, len, &at), 0);
	assert_int_equal(report.nwindows, 1000);
	assert_int_equal(report_most(&report, most), REPORT_MOST);
	for (unsigned int i = 0; i < REPORT_MOST; i++)
		assert_true(most[i]->us == 999.5 - i);
	report_free(&report);
	free(text);
}

/* What says it is larger than any memory is neither believed nor does it take all of ours. */
static void numbers_without_sense(void **state)
{
	struct report report;

	(void)state;
	assert_int_equal(read_text(&report, "[{\"cat\":\"migration\",\"dur\":-5,\"args\":{\"addr\":"
				   "\"0xffffffffffffffff\",\"len\":18446744073709551615}},"
				   "{\"cat\":\"unmap\",\"args\":{\"addr\":\"-1\",\"len\":-7}},"
				   "{\"cat\":\"program\",\"dur\":1e400}]"), 0);
	assert_int_equal(report.nwindows, 0);
	report_free(&report);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(forms_of_a_trace),
		cmocka_unit_test(files_that_end_early),
		cmocka_unit_test(what_is_no_trace),
		cmocka_unit_test(time_is_shared_by_windows),
		cmocka_unit_test(ten_are_the_most),
		cmocka_unit_test(numbers_without_sense),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
