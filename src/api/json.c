/* SPDX-License-Identifier: Apache-2.0
 * json.c: units and ranges as JSON. */
#include <stdlib.h>

#include "api/inside.h"
#include "base/mem.h"

json_t *json_milli(uint64_t milli)
{
	return milli % 1000 ? json_real((double)milli / 1000) : json_integer((json_int_t)(milli / 1000));
}

json_t *json_micros(uint64_t micros)
{
	return micros % 1000000 ? json_real((double)micros / 1000000) : json_integer((json_int_t)(micros / 1000000));
}

json_t *json_instant(us_t instant)
{
	char text[32];

	if (instant <= 0 || instant == US_NEVER)
		return json_null();
	return json_string(us_format_instant(instant, text, sizeof text));
}

json_t *json_seconds(us_t duration)
{
	return duration == US_NEVER ? json_null() : json_micros((uint64_t)duration);
}

json_t *json_text(const char *text)
{
	json_t *json = text && *text ? json_string(text) : NULL;

	/* What an engine said may be anything; jansson wants UTF-8. */
	if (!json && text && *text)
		json = json_string("(not UTF-8)");
	return json ? json : json_null();
}

json_t *json_ranges(const struct range *ranges, uint32_t n)
{
	struct buf text = {0};
	json_t *json;

	for (uint32_t i = 0; i < n; i++) {
		buf_printf(&text, "%s%u", i ? "," : "", ranges[i].first);
		if (ranges[i].last != ranges[i].first)
			buf_printf(&text, "-%u", ranges[i].last);
		if (ranges[i].last != ranges[i].first && ranges[i].step != 1)
			buf_printf(&text, ":%u", ranges[i].step);
	}
	json = json_stringn((char *)text.data, text.len);
	buf_done(&text);
	return json;
}

json_t *json_node_ranges(const struct node_range *nodes, uint32_t n)
{
	struct range *ranges = mem_new(n, sizeof *ranges);
	json_t *json;

	for (uint32_t i = 0; i < n; i++)
		ranges[i] = (struct range){nodes[i].first, nodes[i].last, 1};
	json = json_ranges(ranges, n);
	free(ranges);
	return json;
}
