/* json.c - records as JSON objects. */
#include "json.h"

#include <stdio.h>
#include <string.h>

/* "a b" as ["a", "b"] */
static cJSON *words(const char *text)
{
    cJSON *list = cJSON_CreateArray();
    char copy[TAGS_TEXT_MAX + 1], *rest = copy;
    memcpy(copy, text, strlen(text) + 1);
    for (const char *word; (word = strtok_r(rest, " ", &rest)) != NULL;)
        (void)cJSON_AddItemToArray(list, cJSON_CreateString(word));
    return list;
}

cJSON *json_post(const struct post *post)
{
    cJSON *object = cJSON_CreateObject();
    (void)cJSON_AddNumberToObject(object, "id", (double)post->id);
    (void)cJSON_AddStringToObject(object, "title", post->title);
    (void)cJSON_AddItemToObject(object, "author",
                                post->author != 0 ? cJSON_CreateString(post->author_name) : cJSON_CreateNull());
    (void)cJSON_AddStringToObject(object, "created", post->created);
    (void)cJSON_AddItemToObject(object, "tags", words(post->tags));
    (void)cJSON_AddNumberToObject(object, "views", (double)post->views);
    return object;
}

cJSON *json_product(const struct product *product)
{
    cJSON *object = cJSON_CreateObject();
    (void)cJSON_AddNumberToObject(object, "id", (double)product->id);
    (void)cJSON_AddStringToObject(object, "name", product->name);
    (void)cJSON_AddStringToObject(object, "description", product->description);
    (void)cJSON_AddNumberToObject(object, "price", (double)product->cents / 100);
    return object;
}

cJSON *json_user(const struct user *user)
{
    cJSON *object = cJSON_CreateObject();
    (void)cJSON_AddNumberToObject(object, "id", (double)user->id);
    (void)cJSON_AddStringToObject(object, "name", user->name);
    (void)cJSON_AddStringToObject(object, "joined", user->joined);
    return object;
}

cJSON *json_posts(const struct post posts[], size_t n)
{
    cJSON *object = cJSON_CreateObject(), *list = cJSON_AddArrayToObject(object, "posts");
    for (size_t i = 0; i < n; i++)
        (void)cJSON_AddItemToArray(list, json_post(&posts[i]));
    return object;
}

cJSON *json_products(const struct product products[], size_t n)
{
    cJSON *object = cJSON_CreateObject(), *list = cJSON_AddArrayToObject(object, "products");
    for (size_t i = 0; i < n; i++)
        (void)cJSON_AddItemToArray(list, json_product(&products[i]));
    return object;
}

cJSON *json_add_next(cJSON *object, const char *path, size_t page, bool has_more)
{
    char url[64];
    (void)snprintf(url, sizeof url, "%s?page=%zu", path, page + 1);
    (void)cJSON_AddItemToObject(object, "next", has_more ? cJSON_CreateString(url) : cJSON_CreateNull());
    return object;
}
