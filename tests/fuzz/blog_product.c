/* blog_product.c - reads the body of a product's update, which is JSON. What is accepted has texts and a price that the
 * database may have, and reads the same after it is written again. */
#include "fuzz.h"

#include "blog/product_change.h"
#include "blog/utf8.h"

#include <math.h>

static void check_text(const char *text, size_t min, size_t max)
{
    FUZZ_CHECK(text == NULL || (strlen(text) >= min && strlen(text) <= max && is_plain_text(text)));
}

static bool is_equal(const char *left, const char *right)
{
    return left == NULL || right == NULL ? left == right : strcmp(left, right) == 0;
}

static void send_again(const struct product_change *change)
{
    struct product_change again;
    cJSON *object = cJSON_CreateObject();
    if (change->name != NULL)
        FUZZ_CHECK(cJSON_AddStringToObject(object, "name", change->name) != NULL);
    if (change->description != NULL)
        FUZZ_CHECK(cJSON_AddStringToObject(object, "description", change->description) != NULL);
    if (change->cents != NO_PRICE)
        FUZZ_CHECK(cJSON_AddNumberToObject(object, "price", (double)change->cents / 100) != NULL);
    char *text = cJSON_PrintUnformatted(object);
    cJSON *read = cJSON_ParseWithLength(text, strlen(text));
    FUZZ_CHECK(product_change_read(read, &again) == NULL);
    FUZZ_CHECK(is_equal(change->name, again.name) && is_equal(change->description, again.description));
    FUZZ_CHECK(change->cents == again.cents);
    cJSON_Delete(read);
    cJSON_free(text);
    cJSON_Delete(object);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct product_change change;
    char *exact = malloc(size + (size == 0));    /* no NUL behind it: a body is not a text */
    FUZZ_CHECK(exact != NULL);
    if (size > 0)
        memcpy(exact, data, size);
    cJSON *body = product_change_parse(exact, size);
    const char *wrong = product_change_read(body, &change);
    FUZZ_CHECK(cJSON_IsObject(body) || wrong != NULL);
    if (wrong == NULL) {
        FUZZ_CHECK(change.name != NULL || change.description != NULL || change.cents != NO_PRICE);
        check_text(change.name, 1, PRODUCT_NAME_MAX);
        check_text(change.description, 0, DESCRIPTION_MAX);
        FUZZ_CHECK(change.cents == NO_PRICE || (change.cents >= 0 && change.cents <= INT64_C(100000000000)));
        send_again(&change);
    }
    cJSON_Delete(body);
    free(exact);
    return 0;
}
