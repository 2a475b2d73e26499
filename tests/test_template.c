/* test_template.c - checks templates: what they print, what they ask for, what they store, and the messages about wrong
 * ones. */
#include "stores.h"

#include <pthread.h>

static atomic_int asked;                       /* names that were resolved */
static int items_rendered;

/* What the pages of these tests are made of. */
static cache_status resolve(void *ctx, const char *name, cache_writer *out)
{
    static const char *const values[][2] = {
        { "title", "Tom & \"Jerry's\" <b>" }, { "html", "<i>&amp;</i>" }, { "user.id", "7" }, { "nothing", "" },
        { "ttl", "60" }, { "bad_ttl", "soon" }, { "items.0.name", "first" },
    };
    atomic_fetch_add(&asked, 1);
    if (strcmp(name, "user.name") == 0)
        return cache_writer_puts(out, ctx != NULL ? ctx : "nobody");
    if (strcmp(name, "count") == 0)
        return cache_writer_printf(out, "%d", ++items_rendered);
    if (strcmp(name, "nul") == 0)
        return cache_writer_append(out, "a\0b", 3);
    if (strcmp(name, "broken") == 0)
        return CACHE_ERR_COMPUTE;
    if (strcmp(name, "private") == 0) {
        cache_writer_no_store(out);
        return cache_writer_puts(out, "secret");
    }
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++)
        if (strcmp(name, values[i][0]) == 0)
            return cache_writer_puts(out, values[i][1]);
    return CACHE_MISS;
}

static void *store;                            /* what the test runs on, to open it otherwise */

static int open_cache(void **state)
{
    asked = items_rendered = 0;
    store = *state;
    *state = test_store_open(state, NULL);
    return 0;
}

static int close_cache(void **state)
{
    cache_close(*state);
    return 0;
}

static cache_template *compiled(const char *text)
{
    cache_template *made = NULL;
    assert_status(CACHE_OK, cache_template_compile(text, &made));
    return made;
}

static void assert_page(cache_t *cache, const char *text, const char *user, const char *expected)
{
    cache_template *page = compiled(text);
    cache_writer *out = cache_writer_new();
    cache_writer_puts(out, "");
    assert_status(CACHE_OK, cache_template_render(page, cache, resolve, (void *)(uintptr_t)user, out));
    assert_string_equal(cache_writer_data(out, NULL), expected);
    cache_writer_free(out);
    cache_template_free(page);
}

static void assert_wrong(const char *text, const char *message)
{
    cache_template *made = (cache_template *)(uintptr_t)1;
    assert_int_equal(cache_template_compile(text, &made), CACHE_ERR_INVALID);
    assert_null(made);
    assert_string_equal(cache_last_error(), message);
}

/* A page that does not come about: what was there before stays, and nothing else does. */
static void assert_fails(cache_t *cache, const char *text, cache_status status, const char *message)
{
    cache_template *page = compiled(text);
    cache_writer *out = cache_writer_new();
    cache_writer_puts(out, "before;");
    assert_int_equal(cache_template_render(page, cache, resolve, NULL, out), status);
    assert_string_equal(cache_last_error(), message);
    assert_string_equal(cache_writer_data(out, NULL), "before;");
    assert_int_equal(cache_writer_status(out), CACHE_OK);
    cache_writer_free(out);
    cache_template_free(page);
}

/* ---- printing ---------------------------------------------------------------------------------------------------- */

static void a_page_without_signs_is_printed_as_it_is(void **state)
{
    static const char *const pages[] = { "", "text", "{", "a { b } }} %} #}", "{a}", "ends with {" };
    for (size_t i = 0; i < sizeof pages / sizeof pages[0]; i++)
        assert_page(*state, pages[i], NULL, pages[i]);
}

static void values_are_escaped_unless_they_are_safe(void **state)
{
    assert_page(*state, "<p>{{ title }}</p>", NULL, "<p>Tom &amp; &#34;Jerry&#39;s&#34; &lt;b&gt;</p>");
    assert_page(*state, "{{html|safe}}{{ html | safe }}{{html}}", NULL,
                "<i>&amp;</i><i>&amp;</i>&lt;i&gt;&amp;amp;&lt;/i&gt;");
    assert_page(*state, "[{{nothing}}{{ items.0.name }}]", NULL, "[first]");
}

static void comments_are_left_out(void **state)
{
    assert_page(*state, "a{# {{ b }} {% what\n #}c{##}d", NULL, "acd");
}

/* ---- cached parts ------------------------------------------------------------------------------------------------ */

static const char activities[] = "{{ user.name }}: {% cache 60, 'recent_activities', user.id %}"
                                 "{{ user.name }} {{ count }}{% endcache %}!";

static void a_cached_part_asks_for_nothing_that_stands_in_it(void **state)
{
    assert_page(*state, activities, "ann", "ann: ann 1!");
    assert_int_equal(asked, 4);
    assert_page(*state, activities, "bob", "bob: ann 1!");
    assert_int_equal(asked, 6);    /* the name outside, and the vary part */
    assert_int_equal(items_rendered, 1);
}

static void code_can_delete_a_templates_fragment(void **state)
{
    char key[64];
    assert_page(*state, activities, "ann", "ann: ann 1!");
    assert_status(CACHE_OK, cache_fragment_key((const char *const[]){ "recent_activities", "7" }, 2, key, sizeof key));
    assert_text(*state, key, "ann 1");
    assert_status(CACHE_OK, cache_fragment_forget(*state, (const char *const[]){ "recent_activities", "7" }, 2));
    assert_page(*state, activities, "ann", "ann: ann 2!");
}

static void a_template_can_delete_a_fragment(void **state)
{
    assert_page(*state, activities, "ann", "ann: ann 1!");
    assert_page(*state, "{% cache 'del', \"recent_activities\", 8 %}", NULL, "");
    assert_page(*state, activities, "ann", "ann: ann 1!");
    assert_page(*state, "[{%cache 'del','recent_activities',user.id%}]", NULL, "[]");
    assert_page(*state, activities, "ann", "ann: ann 2!");
}

static void every_vary_part_counts(void **state)
{
    assert_page(*state, "{% cache 60, 'f' %}{{ count }}{% endcache %}", NULL, "1");
    assert_page(*state, "{% cache 60, 'f', '' %}{{ count }}{% endcache %}", NULL, "2");
    assert_page(*state, "{% cache 60, 'f', 7 %}{{ count }}{% endcache %}", NULL, "3");
    assert_page(*state, "{% cache 60, 'f', user.id %}{{ count }}{% endcache %}", NULL, "3");
    assert_page(*state, "{% cache 60, 'f', '7', nothing %}{{ count }}{% endcache %}", NULL, "4");
    assert_page(*state, "{% cache 60, \"it's\" %}{{ count }}{% endcache %}", NULL, "5");
}

static void parts_may_stand_in_one_another(void **state)
{
    static const char page[] = "{% cache 60, 'outer' %}<{% cache 60, 'inner' %}{{ count }}{% endcache %}"
                               "{% cache 60, 'inner', 2 %}{{ count }}{% endcache %}>{% endcache %}";
    assert_page(*state, page, NULL, "<12>");
    assert_page(*state, page, NULL, "<12>");
    assert_int_equal(items_rendered, 2);
    assert_page(*state, "{% cache 'del', 'outer' %}{% cache 'del', 'inner' %}", NULL, "");
    assert_page(*state, page, NULL, "<32>");
}

static void a_ttl_is_a_number_a_name_or_none(void **state)
{
    _Atomic int64_t now_ms = 1000;
    cache_config config = CACHE_CONFIG_INIT;
    config.clock = test_clock(&now_ms);
    cache_t *cache = test_store_open(&store, &config);
    static const char page[] =
        "{% cache 1.5, 'a' %}{{ count }}{% endcache %},{% cache ttl, 'b' %}{{ count }}{% endcache %},"
        "{% cache none, 'c' %}{{ count }}{% endcache %},{% cache 0, 'd' %}{{ count }}{% endcache %}";
    (void)state;
    assert_page(cache, page, NULL, "1,2,3,4");
    now_ms += 1499;
    assert_page(cache, page, NULL, "1,2,3,4");
    now_ms += 1;
    assert_page(cache, page, NULL, "5,2,3,4");
    now_ms += 60 * 1000;
    assert_page(cache, page, NULL, "6,7,3,4");
    now_ms += 300 * 1000;    /* the handle's default */
    assert_page(cache, page, NULL, "8,9,10,4");
    cache_close(cache);
}

static void without_a_cache_every_part_is_rendered(void **state)
{
    (void)state;
    assert_page(NULL, activities, "ann", "ann: ann 1!");
    assert_page(NULL, activities, "ann", "ann: ann 2!");
    assert_page(NULL, "{% cache 'del', 'f' %}", NULL, "");
}

static void a_value_that_says_no_store_keeps_its_part_out_of_the_cache(void **state)
{
    static const char page[] = "{% cache 60, 'f' %}{{ private }} {{ count }}{% endcache %}";
    assert_page(*state, page, NULL, "secret 1");
    assert_page(*state, page, NULL, "secret 2");
}

/* ---- failures ---------------------------------------------------------------------------------------------------- */

static void a_failing_value_leaves_nothing_behind(void **state)
{
    char key[64];
    cache_value value;
    assert_fails(*state, "text {{ broken }}", CACHE_ERR_COMPUTE,
                 "template line 1: 'broken': computation failed");
    assert_fails(
        *state, "\n{% cache 60, 'outer' %}{% cache 60, 'inner' %}\n{{ count }}{{ nobody }}{% endcache %}{% endcache %}",
        CACHE_ERR_INVALID, "template line 3: unknown name 'nobody'");
    for (int i = 0; i < 2; i++) {
        assert_status(CACHE_OK, cache_fragment_key((const char *const[]){ i ? "outer" : "inner" }, 1, key, sizeof key));
        assert_status(CACHE_MISS, cache_get(*state, key, &value));
    }
    /* Nor does it wait for itself. */
    assert_page(*state, "{% cache 60, 'inner' %}{{ count }}{% endcache %}", NULL, "2");
}

static void what_cannot_be_a_fragment_is_named(void **state)
{
    assert_fails(*state, "{% cache bad_ttl, 'f' %}{% endcache %}", CACHE_ERR_INVALID,
                 "template line 1: the ttl 'bad_ttl' must be a number of seconds, not 'soon'");
    assert_fails(*state, "{% cache 60, 'f', nul %}{% endcache %}", CACHE_ERR_INVALID,
                 "template line 1: the value of 'nul' contains a NUL, which a vary part must not");
    assert_fails(*state, "{% cache 'del', 'f', nobody %}", CACHE_ERR_INVALID,
                 "template line 1: unknown name 'nobody'");
}

static void a_fragment_around_a_page_that_failed_is_not_stored(void **state)
{
    cache_template *page = compiled("{{ broken }}");
    for (int i = 0; i < 2; i++) {
        cache_writer *out = cache_writer_new();
        CACHE_FRAGMENT(*state, out, 60, "around") {
            items_rendered++;
            assert_int_equal(cache_template_render(page, *state, resolve, NULL, out), CACHE_ERR_COMPUTE);
        }
        cache_writer_free(out);
    }
    assert_int_equal(items_rendered, 2);
    cache_template_free(page);
}

static void wrong_arguments_are_named(void **state)
{
    cache_template *page = compiled("text");
    cache_writer *out = cache_writer_new();
    assert_int_equal(cache_template_compile("", NULL), CACHE_ERR_INVALID);
    assert_wrong(NULL, "template: the text is NULL");
    assert_int_equal(cache_template_render(NULL, *state, resolve, NULL, out), CACHE_ERR_INVALID);
    assert_int_equal(cache_template_render(page, *state, NULL, NULL, out), CACHE_ERR_INVALID);
    assert_int_equal(cache_template_render(page, *state, resolve, NULL, NULL), CACHE_ERR_INVALID);
    cache_template_free(NULL);
    cache_writer_free(out);
    cache_template_free(page);
}

/* ---- wrong templates --------------------------------------------------------------------------------------------- */

static void what_is_wrong_with_a_template_is_said_with_its_line(void **state)
{
    (void)state;
    assert_wrong("a\nb {{ }}", "template line 2: a name must follow '{{', not '}}'");
    assert_wrong("{{{ html }}}", "template line 1: a name must follow '{{', not '{ html }}}'");
    assert_wrong("{{ a..b }}", "template line 1: a name must follow '{{', not 'a..b }}'");
    assert_wrong("{{ a.b", "template line 1: '}}' must follow the name, not the end of the template");
    assert_wrong("{{\n\n", "template line 3: a name must follow '{{', not the end of the template");
    assert_wrong("{{ a b }}", "template line 1: '}}' must follow the name, not 'b }}'");
    assert_wrong("{{ a|upper }}", "template line 1: the only filter is 'safe', not 'upper }}'");
    assert_wrong("{{ a|safe", "template line 1: '}}' must follow the name, not the end of the template");
    assert_wrong("\n{# never ends", "template line 2: a comment has no '#}'");
    assert_wrong("{% for a in b %}", "template line 1: a tag is 'cache' or 'endcache', not 'for a in b %}'");
    assert_wrong("{% cached 1 %}", "template line 1: a tag is 'cache' or 'endcache', not 'cached 1 %}'");
    assert_wrong("{% cache 60, 'f' %}{% endcached %}",
                 "template line 1: a tag is 'cache' or 'endcache', not 'endcached %}'");
    assert_wrong("{% cache 60, 'f' %}{% endblock %}",
                 "template line 1: a tag is 'cache' or 'endcache', not 'endblock %}'");
    assert_wrong("{%", "template line 1: a tag is 'cache' or 'endcache', not the end of the template");
    assert_wrong("x\n{% endcache %}", "template line 2: an 'endcache' without its 'cache' (a 'del' has no end)");
    assert_wrong("{% cache 'del', 'f' %}{% endcache %}",
                 "template line 1: an 'endcache' without its 'cache' (a 'del' has no end)");
    assert_wrong("{% cache 1, 'f' %}{% endcache 1 %}",
                 "template line 1: '%}' must follow 'endcache', not '1 %}'");
    assert_wrong("\n{% cache 1, 'f' %}\n{% cache 1, 'g' %}\n{% endcache %}\n",
                 "template line 2: a 'cache' has no 'endcache'");
}

static void what_is_wrong_with_a_cache_tag_is_said_with_its_line(void **state)
{
    static const char needs[] = "template line 2: a cache tag needs a ttl and the fragment's name in quotes: "
                                "{% cache 60, 'name' %}";
    (void)state;
    assert_wrong("\n{% cache 60\n %}{% endcache %}", needs);
    assert_wrong("\n{% cache 60, name %}{% endcache %}", needs);
    assert_wrong("\n{% cache 60, '' %}{% endcache %}", needs);
    assert_wrong("\n{% cache 'del' %}", needs);
    assert_wrong("{% cache %}", "template line 1: a number, a name or a text in quotes must come here, not '%}'");
    assert_wrong("{% cache -1, 'f' %}", "template line 1: a number, a name or a text in quotes must come here, not "
                                        "'-1, 'f' %}'");
    assert_wrong("{% cache 1.2.3, 'f' %}", "template line 1: a number, a name or a text in quotes must come here, not "
                                           "'1.2.3, 'f' %}'");
    assert_wrong("{% cache 12345678901234567, 'f' %}",
                 "template line 1: a number, a name or a text in quotes must come here, not '12345678901234567, ''");
    assert_wrong("{% cache 1 'f' %}", "template line 1: ',' or '%}' must come here, not ''f' %}'");
    assert_wrong("{% cache 1, 'f",
                 "template line 1: a text must end in this line with the quote that it began with, not "
                 "''f'");
    assert_wrong("{% cache 1, 'f\n' %}", "template line 1: a text must end in this line with the quote that it began "
                                         "with, not ''f'");
    assert_wrong("{% cache 1, 'f', %}",
                 "template line 1: a number, a name or a text in quotes must come here, not '%}'");
    assert_wrong("{% cache 1, 'f'", "template line 1: ',' or '%}' must come here, not the end of the template");
    assert_wrong("{% cache 'soon', 'f' %}", "template line 1: a ttl is a number of seconds, a name, none, or 'del'");
    assert_wrong("{% cache 1,'f',1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16 %}",
                 "template line 1: a cache tag has more than 15 vary parts");
}

static char *repeated(const char *text, size_t n, const char *end)
{
    const size_t size = strlen(text);
    char *whole = malloc(n * size + strlen(end) + 1);
    for (size_t i = 0; i < n; i++)
        memcpy(whole + i * size, text, size);
    strcpy(whole + n * size, end);
    return whole;
}

static void depth_has_a_limit(void **state)
{
    char *deep = repeated("{% cache 1, 'f' %}", 33, "");
    assert_wrong(deep, "template line 1: cache tags are nested more than 32 deep");
    free(deep);
    deep = repeated("{% cache 1, 'f' %}", 32, "x{% endcache %}");
    char *ends = repeated("{% endcache %}", 31, ""), *whole = repeated(deep, 1, ends);
    assert_page(*state, whole, NULL, "x");    /* a fragment in itself, 32 times: it does not wait */
    free(whole);
    free(ends);
    free(deep);
}

/* Every beginning of a template, and each with one byte changed: an error or a template, and never a byte too far. */
static void hostile_templates_are_refused_or_rendered(void **state)
{
    static const char page[] = "<{{ title }}{# c #}{% cache 60, \"f\", 'a', 7, user.id %}{{ html|safe }}"
                               "{% cache ttl, 'g' %}\n{% endcache %}{% endcache %}{% cache 'del', 'f' %}>";
    static const char bytes[] = "{}%#'\"|.,0a \n\x80";
    char text[sizeof page];
    for (size_t size = 0; size < sizeof page; size++)
        for (size_t byte = 0; byte < sizeof bytes; byte++) {
            char *exact = malloc(size + 1);    /* so that AddressSanitizer sees the end */
            memcpy(text, page, size);
            text[size] = '\0';
            if (size > 0)
                text[(byte + 1) * 31 % size] = bytes[byte];
            if (size > 1)
                text[size - 1] = bytes[byte];
            memcpy(exact, text, size + 1);
            cache_template *made = NULL;
            const cache_status status = cache_template_compile(exact, &made);
            free(exact);
            if (status == CACHE_OK) {
                cache_writer *out = cache_writer_new();
                (void)cache_template_render(made, *state, resolve, NULL, out);
                cache_writer_free(out);
            } else
                assert_memory_equal(cache_last_error(), "template line ", 14);
            cache_template_free(made);
        }
}

static void a_large_template_is_no_burden(void **state)
{
    char *large = repeated("{{nothing}} ", 100000, "");
    cache_template *page = compiled(large);
    cache_writer *out = cache_writer_new();
    size_t size = 0;
    assert_status(CACHE_OK, cache_template_render(page, *state, resolve, NULL, out));
    (void)cache_writer_data(out, &size);
    assert_int_equal(size, 100000);
    cache_writer_free(out);
    cache_template_free(page);
    free(large);
}

/* ---- threads ----------------------------------------------------------------------------------------------------- */

struct visitors {
    cache_t *cache;
    const cache_template *page;
};

static cache_status resolve_slowly(void *ctx, const char *name, cache_writer *out)
{
    (void)ctx;
    atomic_fetch_add(&asked, 1);
    return cache_writer_puts(out, name);
}

static void *visit(void *arg)
{
    const struct visitors *visitors = arg;
    size_t right = 0;
    for (int i = 0; i < 500; i++) {
        cache_writer *out = cache_writer_new();
        if (cache_template_render(visitors->page, visitors->cache, resolve_slowly, NULL, out) == CACHE_OK)
            right += strcmp(cache_writer_data(out, NULL), "<a><b>") == 0;
        cache_writer_free(out);
    }
    return (void *)right;
}

static void many_threads_render_one_template(void **state)
{
    cache_template *page = compiled("<{{ a }}>{% cache 60, 'f' %}<{{ b }}>{% endcache %}");
    struct visitors visitors = { *state, page };
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, visit, &visitors), 0);
    for (int i = 0; i < 4; i++) {
        void *right = NULL;
        assert_int_equal(pthread_join(threads[i], &right), 0);
        assert_int_equal((size_t)right, 500);
    }
    assert_int_equal(asked, 4 * 500 + 1);
    cache_template_free(page);
}

#define template_test(name) cmocka_unit_test_setup_teardown(name, open_cache, close_cache)

int main(void)
{
    const struct CMUnitTest tests[] = {
        template_test(a_page_without_signs_is_printed_as_it_is),
        template_test(values_are_escaped_unless_they_are_safe),
        template_test(comments_are_left_out),
        template_test(a_cached_part_asks_for_nothing_that_stands_in_it),
        template_test(code_can_delete_a_templates_fragment),
        template_test(a_template_can_delete_a_fragment),
        template_test(every_vary_part_counts),
        template_test(parts_may_stand_in_one_another),
        template_test(a_ttl_is_a_number_a_name_or_none),
        template_test(without_a_cache_every_part_is_rendered),
        template_test(a_value_that_says_no_store_keeps_its_part_out_of_the_cache),
        template_test(a_failing_value_leaves_nothing_behind),
        template_test(what_cannot_be_a_fragment_is_named),
        template_test(a_fragment_around_a_page_that_failed_is_not_stored),
        template_test(wrong_arguments_are_named),
        template_test(what_is_wrong_with_a_template_is_said_with_its_line),
        template_test(what_is_wrong_with_a_cache_tag_is_said_with_its_line),
        template_test(depth_has_a_limit),
        template_test(hostile_templates_are_refused_or_rendered),
        template_test(a_large_template_is_no_burden),
        template_test(many_threads_render_one_template),
    };
    return test_on_stores(tests, sizeof tests / sizeof tests[0]);
}
