// SPDX-License-Identifier: MIT
/*
 * A trace is taken apart event by event, so that a long one does not have to be in memory
 * as objects. Any Trace Event file will do; what kfdsvm did not write counts nothing.
 */
#include "report.h"

#include <ctype.h>
#include <errno.h>
#include <json-c/json.h>
#include <limits.h>
#include <string.h>

struct text {
	const char *at;
	const char *end;
	struct json_tokener *tokener;
};

static void blanks(struct text *t)
{
	while (t->at < t->end && isspace((unsigned char)*t->at))
		t->at++;
}

static bool skip(struct text *t, char c)
{
	blanks(t);
	if (t->at == t->end || *t->at != c)
		return false;
	t->at++;
	return true;
}

/* One value. -ENODATA: the text ends in it. */
static int value(struct text *t, struct json_object **object)
{
	size_t len = (size_t)(t->end - t->at);
	enum json_tokener_error error;

	json_tokener_reset(t->tokener);
	*object = json_tokener_parse_ex(t->tokener, t->at, len > INT_MAX ? INT_MAX : (int)len);
	error = json_tokener_get_error(t->tokener);
	t->at += json_tokener_get_parse_end(t->tokener);
	if (error == json_tokener_success)
		return 0;
	return error == json_tokener_continue ? -ENODATA : -EBADMSG;
}

static int events(struct report *report, struct text *t)
{
	struct json_object *event;
	int ret;

	if (skip(t, ']'))
		return 0;
	do {
		blanks(t);
		/* A list may end with a comma, or not at all: recorders die. */
		if (t->at == t->end)
			return -ENODATA;
		if (skip(t, ']'))
			return 0;
		ret = value(t, &event);
		if (ret)
			return ret;
		if (json_object_is_type(event, json_type_object))
			report_add_event(report, event);
		json_object_put(event);
	} while (skip(t, ','));
	blanks(t);
	if (t->at == t->end)
		return -ENODATA;
	return skip(t, ']') ? 0 : -EBADMSG;
}

static int member(struct report *report, struct text *t)
{
	struct json_object *name, *object;
	int ret;

	blanks(t);
	ret = value(t, &name);
	if (ret)
		return ret;
	blanks(t);
	if (t->at == t->end) {
		json_object_put(name);
		return -ENODATA;
	}
	if (!json_object_is_type(name, json_type_string) || !skip(t, ':')) {
		ret = -EBADMSG;
	} else if (!strcmp(json_object_get_string(name), "traceEvents") && skip(t, '[')) {
		ret = events(report, t);
	} else {
		blanks(t);
		ret = value(t, &object);
		if (!ret && !strcmp(json_object_get_string(name), "otherData"))
			report_add_other(report, object);
		if (!ret)
			json_object_put(object);
	}
	json_object_put(name);
	return ret;
}

static int object(struct report *report, struct text *t)
{
	int ret = 0;

	if (skip(t, '}'))
		return 0;
	do
		ret = member(report, t);
	while (!ret && skip(t, ','));
	if (ret)
		return ret;
	blanks(t);
	if (t->at == t->end)
		return -ENODATA;
	return skip(t, '}') ? 0 : -EBADMSG;
}

int report_read(struct report *report, const char *text, size_t len, size_t *at)
{
	struct text t = { .at = text, .end = text + len, .tokener = json_tokener_new() };
	int ret = -EBADMSG;

	if (!t.tokener)
		return -ENOMEM;
	if (skip(&t, '['))
		ret = events(report, &t);
	else if (skip(&t, '{'))
		ret = object(report, &t);
	if (ret == -ENODATA) {
		report->cut = true;
		ret = 0;
	}
	blanks(&t);
	if (!ret && t.at != t.end)
		ret = -EBADMSG;
	*at = (size_t)(t.at - text);
	json_tokener_free(t.tokener);
	return ret;
}
