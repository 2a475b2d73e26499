/* middleware.c - finds the view that serves a request, by its rules. */
#include "api.h"

#include <string.h>

/* One star matches any text without '/', two stars match any text. If the match fails later, the last star that can
 * match more is tried again. So the time is at most the product of the lengths (of the pattern and the square of the
 * path, for a pattern such as "**a*b"). A single star is never tried in place of an earlier double one. */
static bool path_matches(const char *pattern, const char *path)
{
    const char *one = NULL, *one_at = NULL, *any = NULL, *any_at = NULL;
    for (;;) {
        if (pattern[0] == '*' && pattern[1] == '*') {
            any = pattern += 2;
            any_at = path;
            one = NULL;
        } else if (pattern[0] == '*') {
            one = ++pattern;
            one_at = path;
        } else if (*pattern == *path) {
            if (*path == '\0')
                return true;
            pattern++;
            path++;
        } else if (one != NULL && *one_at != '\0' && *one_at != '/') {
            pattern = one;
            path = ++one_at;
        } else if (any != NULL && *any_at != '\0') {
            pattern = any;
            path = ++any_at;
            one = NULL;
        } else
            return false;
    }
}

/* HEAD is answered from the page of GET, so a rule for GET also applies to HEAD. */
static bool fits(const cache_rule *rule, const cache_request *request)
{
    const bool is_head = strcmp(request->method, "HEAD") == 0;
    bool is_for_method = rule->methods == NULL;
    for (const char *const *method = rule->methods; !is_for_method && *method != NULL; method++)
        is_for_method = strcmp(*method, request->method) == 0 || (is_head && strcmp(*method, "GET") == 0);
    return is_for_method && rule->path != NULL && path_matches(rule->path, request->path);
}

/* Returns a copy of rule `i`. A program that was built with an older version may have a shorter struct. */
static cache_rule rule_at(const cache_rule rules[], size_t i, size_t rule_size)
{
    cache_rule rule = { NULL, NULL, NULL };
    memcpy(&rule, (const char *)rules + i * rule_size, rule_size < sizeof rule ? rule_size : sizeof rule);
    return rule;
}

cache_status cache_middleware_sized(cache_t *cache, const cache_rule rules[], size_t n, size_t rule_size,
                                    const cache_request *request, cache_handler_fn *handler, void *ctx,
                                    cache_page *page)
{
    if (page != NULL)
        *page = (cache_page){ 0 };
    if (rules == NULL && n > 0)
        return cache_fail(CACHE_ERR_INVALID, "middleware: rules is NULL");
    if (rule_size < offsetof(cache_rule, view) + sizeof rules->view)
        return cache_fail(CACHE_ERR_INVALID, "middleware: rule_size must be sizeof(cache_rule), not %zu", rule_size);
    const cache_view *view = NULL;
    const bool is_request = request != NULL && request->method != NULL && request->path != NULL;
    for (size_t i = 0; is_request && i < n; i++) {
        const cache_rule rule = rule_at(rules, i, rule_size);
        if (fits(&rule, request)) {
            view = rule.view;
            break;
        }
    }
    return cache_view_serve(cache, view, request, handler, ctx, page);
}

/* This defines the function itself, for programs in other languages, which use the first version of cache_rule. The
 * brackets keep the macro from replacing the name. */
cache_status (cache_middleware)(cache_t *cache, const cache_rule rules[], size_t n, const cache_request *request,
                                cache_handler_fn *handler, void *ctx, cache_page *page)
{
    return cache_middleware_sized(cache, rules, n, offsetof(cache_rule, view) + sizeof rules->view, request, handler,
                                  ctx, page);
}
