/* SPDX-License-Identifier: Apache-2.0
 * json.c: the units of src/base as JSON. */
#include "api/inside.h"

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
