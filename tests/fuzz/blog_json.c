/* blog_json.c - writes records of the blog as JSON: numbers and a page in the first line, then a title, tags, a name, a
 * description and a user. What cJSON reads must be what was written. */
#include "fuzz.h"

#include "blog/json.h"
#include "blog/utf8.h"

#include <math.h>

/* The database holds UTF-8 alone. */
static void take(struct fuzz_input *input, char *to, size_t capacity)
{
    char *line = fuzz_line(input);
    if (strlen(line) >= capacity)
        line[capacity - 1] = '\0';
    if (is_utf8(line))
        memcpy(to, line, strlen(line) + 1);
    free(line);
}

static int64_t take_number(struct fuzz_input *input, int64_t below)
{
    uint64_t number = 0;
    for (int i = 0; i < 8; i++)
        number = number << 8 | fuzz_byte(input);
    return (int64_t)(number % (uint64_t)below);
}

/* Print, read and compare; frees `object` and returns what was read. */
static cJSON *through_text(cJSON *object)
{
    FUZZ_CHECK(object != NULL);
    char *text = cJSON_PrintUnformatted(object);
    FUZZ_CHECK(text != NULL && is_utf8(text));
    for (const char *at = text; *at != '\0'; at++)    /* RFC 8259 section 7 */
        FUZZ_CHECK((unsigned char)*at >= ' ');
    cJSON *read = cJSON_Parse(text);
    FUZZ_CHECK(read != NULL && cJSON_Compare(object, read, true));
    cJSON_free(text);
    cJSON_Delete(object);
    return read;
}

static bool has_text(const cJSON *object, const char *name, const char *text)
{
    const char *value = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, name));
    return value != NULL && strcmp(value, text) == 0;
}

static int64_t number_of(const cJSON *object, const char *name, double factor)
{
    return (int64_t)llround(cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(object, name)) * factor);
}

static void check_tags(const cJSON *list, const char *tags)
{
    const cJSON *tag = NULL;
    cJSON_ArrayForEach(tag, list) {
        const size_t size = strlen(tag->valuestring);
        tags += strspn(tags, " ");
        FUZZ_CHECK(size > 0 && strcspn(tags, " ") == size && memcmp(tags, tag->valuestring, size) == 0);
        tags += size;
    }
    FUZZ_CHECK(tags[strspn(tags, " ")] == '\0');
}

static void check_post(const cJSON *object, const struct post *post)
{
    FUZZ_CHECK(has_text(object, "title", post->title));
    FUZZ_CHECK(post->author != 0 ? has_text(object, "author", post->author_name)
                                 : cJSON_IsNull(cJSON_GetObjectItemCaseSensitive(object, "author")));
    FUZZ_CHECK(number_of(object, "id", 1) == post->id && number_of(object, "views", 1) == post->views);
    check_tags(cJSON_GetObjectItemCaseSensitive(object, "tags"), post->tags);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const int64_t exact = INT64_C(1000000000000000);    /* cJSON writes 15 digits */
    struct fuzz_input input = { data, size };
    struct post post = { 0 };
    struct product product = { 0 };
    struct user user = { 0 };
    post.id = product.id = user.id = take_number(&input, exact);
    post.views = take_number(&input, exact);
    product.cents = take_number(&input, INT64_C(100000000001));    /* what products.c accepts */
    const size_t page = (size_t)take_number(&input, 10000) + 1;
    post.author = fuzz_byte(&input);
    take(&input, post.title, sizeof post.title);
    take(&input, post.tags, sizeof post.tags);
    take(&input, product.name, sizeof product.name);
    take(&input, product.description, sizeof product.description);
    take(&input, user.name, sizeof user.name);
    memcpy(post.author_name, user.name, sizeof user.name);

    cJSON *object = through_text(json_add_next(json_posts(&post, 1), "/api/posts", page, page < 10000));
    check_post(cJSON_GetArrayItem(cJSON_GetObjectItemCaseSensitive(object, "posts"), 0), &post);
    char next[64];
    (void)snprintf(next, sizeof next, "/api/posts?page=%zu", page + 1);
    FUZZ_CHECK(page < 10000 ? has_text(object, "next", next)
                            : cJSON_IsNull(cJSON_GetObjectItemCaseSensitive(object, "next")));
    cJSON_Delete(object);

    object = through_text(json_product(&product));
    FUZZ_CHECK(has_text(object, "name", product.name) && has_text(object, "description", product.description));
    FUZZ_CHECK(number_of(object, "id", 1) == product.id && number_of(object, "price", 100) == product.cents);
    cJSON_Delete(object);

    object = through_text(json_user(&user));
    FUZZ_CHECK(has_text(object, "name", user.name) && number_of(object, "id", 1) == user.id);
    cJSON_Delete(object);
    return 0;
}
