/* product_change.c - the change of a product that a client sends as JSON. */
#include "product_change.h"

#include "utf8.h"

#include <math.h>
#include <string.h>

static const double max_price = 1e9;

/* The text that `object` has under `name`; `*text` stays NULL if there is none. Returns false if it is no text, not of
 * these sizes, or no UTF-8: cJSON takes any bytes. */
static bool take_text(const cJSON *object, const char *name, size_t min, size_t max, const char **text)
{
    const cJSON *member = cJSON_GetObjectItemCaseSensitive(object, name);
    if (member == NULL)
        return true;
    *text = cJSON_GetStringValue(member);
    return *text != NULL && strlen(*text) >= min && strlen(*text) <= max && is_plain_text(*text);
}

cJSON *product_change_parse(const char *body, size_t size)
{
    const char *end = NULL;
    cJSON *object = cJSON_ParseWithLengthOpts(body, size, &end, false);
    if (object == NULL)
        return NULL;
    while (end < body + size && *end != '\0' && strchr(" \t\r\n", *end) != NULL)
        end++;
    if (end == body + size)
        return object;
    cJSON_Delete(object);
    return NULL;
}

const char *product_change_read(const cJSON *object, struct product_change *change)
{
    const cJSON *price = cJSON_GetObjectItemCaseSensitive(object, "price");
    *change = (struct product_change){ NULL, NULL, NO_PRICE };
    if (!cJSON_IsObject(object))
        return "the body must be a JSON object";
    if (!take_text(object, "name", 1, PRODUCT_NAME_MAX, &change->name))
        return "name must be a text of 1 to 100 bytes in UTF-8, without control characters";
    if (!take_text(object, "description", 0, DESCRIPTION_MAX, &change->description))
        return "description must be a text of at most 500 bytes in UTF-8, without control characters";
    if (price != NULL && !(cJSON_IsNumber(price) && price->valuedouble >= 0 && price->valuedouble <= max_price))
        return "price must be a number from 0 to 1000000000";
    if (price != NULL)
        change->cents = llround(price->valuedouble * 100);
    const bool is_empty = change->name == NULL && change->description == NULL && price == NULL;
    return is_empty ? "name, description or price is missing" : NULL;
}
