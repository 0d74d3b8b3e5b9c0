// SPDX-License-Identifier: MIT
#include "output.h"

#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <kfdsvm.h>

#include "command.h"

static bool has_colours(void)
{
	const char *no = getenv("NO_COLOR");
	const char *term = getenv("TERM");

	return isatty(STDOUT_FILENO) && !(no && *no) && term && strcmp(term, "dumb");
}

const char *colour(enum colour which)
{
	static const char *const codes[] = {
		[COLOUR_NONE] = "\033[0m",
		[COLOUR_GOOD] = "\033[32m",
		[COLOUR_WARN] = "\033[33m",
		[COLOUR_BAD] = "\033[31m",
	};

	return has_colours() ? codes[which] : "";
}

int output_end(int code)
{
	errno = 0;
	if (!fflush(stdout) && !ferror(stdout))
		return code;
	if (errno != EPIPE)
		fprintf(stderr, "kfdsvm: cannot write: %s\n", strerror(errno ? errno : EIO));
	return EXIT_ERROR;
}

void out_of_memory(void)
{
	fputs("kfdsvm: out of memory\n", stderr);
	exit(EXIT_ERROR);
}

void *need_memory(void *memory)
{
	if (!memory)
		out_of_memory();
	return memory;
}

void printable(char *to, size_t len, const char *text)
{
	size_t i;

	for (i = 0; text[i] && i + 1 < len; i++)
		to[i] = text[i] < ' ' || text[i] > '~' ? '?' : text[i];
	to[i] = '\0';
}

struct json_object *json_new(void)
{
	return need_memory(json_object_new_object());
}

struct json_object *json_new_list(void)
{
	return need_memory(json_object_new_array());
}

void json_put(struct json_object *to, const char *name, struct json_object *value)
{
	if (json_object_object_add(to, name, value))
		out_of_memory();
}

void json_put_text(struct json_object *to, const char *name, const char *text)
{
	size_t len = strlen(text) + 1;
	char *clean = need_memory(malloc(len));

	printable(clean, len, text);
	json_put(to, name, need_memory(json_object_new_string(clean)));
	free(clean);
}

void json_put_number(struct json_object *to, const char *name, uint64_t number)
{
	json_put(to, name, number == KFDSVM_UNKNOWN ?
		 NULL : need_memory(json_object_new_uint64(number)));
}

void json_put_real(struct json_object *to, const char *name, double number)
{
	char text[64];

	/* Three digits are enough for people, and json-c prints seventeen. */
	snprintf(text, sizeof(text), "%.3f", number);
	json_put(to, name, need_memory(json_object_new_double_s(number, text)));
}

void json_put_bool(struct json_object *to, const char *name, bool value)
{
	json_put(to, name, need_memory(json_object_new_boolean(value)));
}

void json_print(struct json_object *object, bool pretty)
{
	int flags = JSON_C_TO_STRING_NOSLASHESCAPE |
		    (pretty ? JSON_C_TO_STRING_PRETTY : JSON_C_TO_STRING_PLAIN);

	puts(need_memory((void *)json_object_to_json_string_ext(object, flags)));
	json_object_put(object);
}
