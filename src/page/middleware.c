/* middleware.c - which view serves a request, by rule. */
#include "api.h"

#include <string.h>

/* One star is a run without '/', two are any run. The last star that could stand for more is tried again, so the time
 * is at most the product of the lengths (of the path's squared, for a pattern such as "**a*b"); a single star never
 * takes over from a double one before it. */
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

/* HEAD is answered from GET's page, so a rule for GET is one for HEAD. */
static bool fits(const cache_rule *rule, const cache_request *request)
{
    const bool is_head = strcmp(request->method, "HEAD") == 0;
    bool is_for_method = rule->methods == NULL;
    for (const char *const *method = rule->methods; !is_for_method && *method != NULL; method++)
        is_for_method = strcmp(*method, request->method) == 0 || (is_head && strcmp(*method, "GET") == 0);
    return is_for_method && rule->path != NULL && path_matches(rule->path, request->path);
}

/* A copy of rule `i`, of which an older program may have a shorter one. */
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

/* The name itself, in brackets against the macro, for programs in other languages: they know cache_rule as it began. */
cache_status (cache_middleware)(cache_t *cache, const cache_rule rules[], size_t n, const cache_request *request,
                                cache_handler_fn *handler, void *ctx, cache_page *page)
{
    return cache_middleware_sized(cache, rules, n, offsetof(cache_rule, view) + sizeof rules->view, request, handler,
                                  ctx, page);
}
