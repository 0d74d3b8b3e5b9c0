/* SPDX-License-Identifier: MIT */
/* Output of the commands: colours, JSON, and the end of it. */
#ifndef KFDSVM_OUTPUT_H
#define KFDSVM_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct json_object;

enum colour {
	COLOUR_NONE,
	COLOUR_GOOD,
	COLOUR_WARN,
	COLOUR_BAD,
};

/*
 * What switches a colour on in a terminal, COLOUR_NONE back to normal; "" unless
 * standard output is a terminal that has colours and NO_COLOR is not set.
 */
const char *colour(enum colour colour);

/*
 * The exit code: @code if standard output took everything. Who reads from a pipe may
 * stop; that is not worth a message, other failures are.
 */
int output_end(int code);

/* Ends the program: a command has nothing useful to do without memory. */
void out_of_memory(void) __attribute__((noreturn));
void *need_memory(void *memory);

/*
 * Members of JSON objects. KFDSVM_UNKNOWN is null. Text may hold any bytes; what is not
 * printable ASCII becomes '?', so that the result is JSON whatever a process calls itself.
 */
struct json_object *json_new(void);
struct json_object *json_new_list(void);
void json_put(struct json_object *to, const char *name, struct json_object *value);
void json_put_text(struct json_object *to, const char *name, const char *text);
void json_put_number(struct json_object *to, const char *name, uint64_t number);
void json_put_real(struct json_object *to, const char *name, double number);
void json_put_bool(struct json_object *to, const char *name, bool value);
/* Prints @object, with a newline, and frees it. */
void json_print(struct json_object *object, bool pretty);

/* @text with '?' for what is not printable ASCII; @to takes @len bytes. */
void printable(char *to, size_t len, const char *text);

#endif
