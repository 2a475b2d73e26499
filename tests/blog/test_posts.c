/* test_posts.c - checks that posts can be written, edited and deleted, and that no page shows what is out of date. */
#include "test.h"

#include "site.h"

#include <pthread.h>

static struct site site;
static const char *ada, *grace, *admin;

static int start(void **state)
{
    static const char *const threads[] = { "--threads", "4", NULL };
    (void)state;
    site_start_on_store(&site, threads);
    ada = site_log_in(&site, "ada", ADA_PASSWORD);
    grace = site_log_in(&site, "grace", GRACE_PASSWORD);
    admin = site_log_in(&site, "admin", ADMIN_PASSWORD);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    site_stop(&site);
    return 0;
}

static const char *get(const char *path)
{
    return site_get(&site, path);
}

static const char *get_as(const char *user, const char *path)
{
    return site_ask(&site, "GET", path, user, "");
}

static const char *post(const char *user, const char *path, const char *body)
{
    return site_post(&site, path, user, body);
}

/* Read a page until it comes from the cache, since only a cached page can be old. */
static void warm(const char *user, const char *path)
{
    (void)get_as(user, path);
    assert_has(get_as(user, path), "X-Cache: HIT");
}

/* Every page that shows ada's post 11, tagged "x". */
static const char *const cached[] = { "/", "/popular", "/author/ada", "/author/2", "/tag/x" };
enum { CACHED = sizeof cached / sizeof cached[0] };

static void warm_all(void)
{
    for (size_t i = 0; i < CACHED; i++)
        warm("", cached[i]);
    warm(ada, "/dashboard");
    (void)get("/post/11");
    assert_has(get("/post/1"), "<a href=\"/post/11\">The old title</a>");
}

/* ---- what a change does to the pages ----------------------------------------------------------------------------- */

static void a_new_post_is_on_every_page_at_once(void **state)
{
    (void)state;
    static const char *const pages[] = { "/", "/popular", "/author/ada" };
    for (size_t i = 0; i < 3; i++)
        warm("", pages[i]);
    warm(ada, "/dashboard");
    assert_has(get("/post/11"), "404 Not Found");
    assert_has(get("/tag/x"), "404 Not Found");
    assert_has(post(ada, "/new-post", "title=Brand+new&content=Its+words&tags=x"), "Location: /post/11");
    assert_has(get("/post/11"), "Its words");
    assert_has(get("/"), "Brand new");
    assert_has(site.answer, "Its words");
    assert_has(get("/author/ada"), "Brand new");
    assert_has(get("/tag/x"), "Brand new");
    assert_has(get_as(ada, "/dashboard"), "Brand new");
    assert_has(site.answer, "Published: Brand new");
}

static void an_edited_post_is_nowhere_as_it_was(void **state)
{
    (void)state;
    (void)post(ada, "/new-post", "title=The+old+title&content=The+old+words&tags=x");
    warm_all();
    assert_has(post(ada, "/edit-post/11", "title=The+new+title&content=The+new+words&tags=x"), "Location: /post/11");
    for (size_t i = 0; i < CACHED; i++) {
        assert_has(get(cached[i]), "The new title");
        assert_has_not(site.answer, "The old");
    }
    /* Ada's latest posts stand under each of them. */
    assert_has(get("/post/1"), "<a href=\"/post/11\">The new title</a>");
    assert_has_not(site.answer, "The old");
    assert_has(get("/post/11"), "The new words");
    assert_has(site.answer, "edited <time datetime=\"20");
    assert_has_not(site.answer, "The old");
    assert_has(get_as(ada, "/dashboard"), "Edited: The new title");
    assert_has_not(site.answer, ">The old title</a>");
}

static void a_deleted_post_is_nowhere(void **state)
{
    (void)state;
    (void)post(ada, "/new-post", "title=The+old+title&content=The+old+words&tags=x");
    warm_all();
    assert_has(post(ada, "/delete-post/11", ""), "Location: /\r\n");
    for (size_t i = 0; i < CACHED; i++)
        assert_has_not(get(cached[i]), "The old");
    assert_has_not(get("/post/1"), "The old");
    assert_has(get("/post/11"), "404 Not Found");
    assert_has(get("/tag/x"), "404 Not Found");
    assert_has_not(get_as(ada, "/dashboard"), ">The old title</a>");
    assert_has(site.answer, "Deleted: The old title");
    assert_has(post(ada, "/delete-post/11", ""), "404 Not Found");
    assert_has(post(ada, "/edit-post/11", "title=a&content=b"), "404 Not Found");
}

static void a_post_leaves_the_page_of_a_tag_that_it_no_longer_has(void **state)
{
    (void)state;
    (void)post(ada, "/new-post", "title=Stays&content=c&tags=left,got");
    (void)post(ada, "/new-post", "title=Wanders&content=c&tags=left");
    warm("", "/tag/left");
    warm("", "/tag/got");
    assert_has(post(ada, "/edit-post/12", "title=Wanders&content=c&tags=got"), "303 See Other");
    assert_has(get("/tag/left"), "Stays");
    assert_has_not(site.answer, "Wanders");
    assert_has(get("/tag/got"), "Wanders");
    assert_has(site.answer, "Stays");
}

static void a_change_leaves_the_pages_alone_that_do_not_show_it(void **state)
{
    (void)state;
    (void)post(ada, "/new-post", "title=One&content=c&tags=x");
    (void)post(grace, "/new-post", "title=Two&content=c&tags=y");
    warm("", "/author/grace");
    warm("", "/tag/y");
    warm(grace, "/dashboard");
    assert_has(post(ada, "/edit-post/11", "title=Changed&content=c&tags=x"), "303 See Other");
    assert_has(get("/author/grace"), "X-Cache: HIT");
    assert_has(get("/tag/y"), "X-Cache: HIT");
    assert_has(get_as(grace, "/dashboard"), "X-Cache: HIT");
}

/* ---- under load -------------------------------------------------------------------------------------------------- */

enum { READERS = 5, EDITS = 60 };

static _Atomic long answered;          /* the newest version whose edit was answered */

struct reader {
    const char *path;
    struct site *site;                 /* with an answer of its own */
    long old, readings;
};

/* Each page that is asked for after an edit was answered shows that edit, or a later one. */
static void *read_versions(void *arg)
{
    struct reader *reader = arg;
    for (long least; (least = atomic_load(&answered)) < EDITS; reader->readings++) {
        const char *at = strstr(site_get(reader->site, reader->path), "Version ");
        if (at == NULL || strtol(at + 8, NULL, 10) < least)
            reader->old++;
    }
    return NULL;
}

static void an_edit_that_was_answered_is_seen_by_all_who_ask_later(void **state)
{
    static const char *const paths[READERS] = { "/", "/author/ada", "/tag/x", "/post/11", "/api/posts/11" };
    struct reader readers[READERS];
    pthread_t threads[READERS];
    char body[100];
    (void)state;
    (void)post(ada, "/new-post", "title=Version+0&content=c&tags=x");
    atomic_store(&answered, 0);
    for (size_t i = 0; i < READERS; i++) {
        readers[i] = (struct reader){ paths[i], test_malloc(sizeof site), 0, 0 };
        memcpy(readers[i].site, &site, sizeof site);
        assert_int_equal(pthread_create(&threads[i], NULL, read_versions, &readers[i]), 0);
    }
    for (long version = 1; version <= EDITS; version++) {
        (void)snprintf(body, sizeof body, "title=Version+%ld&content=c&tags=x", version);
        assert_has(post(ada, "/edit-post/11", body), "303 See Other");
        atomic_store(&answered, version);
    }
    for (size_t i = 0; i < READERS; i++) {
        pthread_join(threads[i], NULL);
        if (readers[i].old > 0)
            fail_msg("%s: %ld of %ld readings were old", readers[i].path, readers[i].old, readers[i].readings);
        test_free(readers[i].site);
    }
}

static void a_post_leads_to_what_its_author_wrote_since(void **state)
{
    (void)state;
    warm("", "/post/1");
    assert_has(post(ada, "/new-post", "title=Since+then&content=c"), "303 See Other");
    assert_has(get("/post/1"), "Since then");
    assert_has(post(ada, "/delete-post/11", ""), "303 See Other");
    assert_has_not(get("/post/1"), "Since then");
}

static void a_post_leads_to_others_and_not_to_itself(void **state)
{
    (void)state;
    assert_has(get("/post/1"), "More by ");
    assert_has_not(site.answer, "<li><a href=\"/post/1\">");
    assert_has(site.answer, "<li><a href=\"/post/");
    assert_has(post(admin, "/new-post", "title=The+first&content=c"), "303 See Other");
    assert_has_not(get("/post/11"), "More by ");
}

static void readings_are_counted_and_leave_the_cached_post_alone(void **state)
{
    (void)state;
    for (int i = 0; i < 5; i++)
        assert_has(get("/post/3"), "Stale is better than late");
    assert_has(site.answer, "X-Cache: HIT");
    assert_has(site_ask(&site, "HEAD", "/post/3", "", ""), "X-Cache: HIT");    /* which is no reading */
    do
        assert_has(post("", "/new-post", "title=t&content=c"), "303 See Other");    /* lets /popular be made anew */
    while (strstr(get("/popular"), "Stale is better than late</a></h2>\n<div class=\"about\">5 views") == NULL);
}

/* ---- who may ----------------------------------------------------------------------------------------------------- */

static void only_its_author_and_the_admin_change_a_post(void **state)
{
    (void)state;
    (void)post(ada, "/new-post", "title=Of+ada&content=words");
    static const char *const paths[] = { "/edit-post/11", "/delete-post/11" };
    for (size_t i = 0; i < 2; i++) {
        assert_has(post(grace, paths[i], "title=a&content=b"), "403 Forbidden");
        assert_has(post("", paths[i], "title=a&content=b"), "Location: /login?next=/dashboard");
        assert_has(post("Cookie: session=00000000000000000000000000000000\r\n", paths[i], "title=a&content=b"),
                   "Location: /login");
    }
    assert_has(get_as(grace, "/edit-post/11"), "403 Forbidden");
    assert_has(get("/edit-post/11"), "Location: /login?next=/edit-post/11");
    assert_has(get("/post/11"), "Of ada");
    assert_has_not(site.answer, "/delete-post/11");
    assert_has_not(get_as(grace, "/post/11"), "/delete-post/11");
    assert_has(get_as(ada, "/post/11"), "/delete-post/11");
    assert_has(get_as(ada, "/edit-post/11"), "value=\"Of ada\"");
    warm(ada, "/dashboard");
    assert_has(post(admin, "/edit-post/11", "title=Of+the+admin&content=b"), "303 See Other");
    assert_has(get("/post/11"), "Of the admin");
    assert_has(site.answer, "by <a href=\"/author/ada\">");
    assert_has(get_as(ada, "/dashboard"), ">Of the admin</a>");
    assert_has(post(admin, "/delete-post/11", ""), "303 See Other");
}

static void a_post_of_nobody_is_everybodys_who_is_logged_in(void **state)
{
    (void)state;
    assert_has(post("", "/new-post", "title=Of+nobody&content=words"), "Location: /post/11");
    assert_has_not(get("/post/11"), "by <a");
    assert_has(post("", "/edit-post/11", "title=a&content=b"), "Location: /login");
    assert_has(post(grace, "/edit-post/11", "title=Of+all&content=b"), "303 See Other");
    assert_has(get("/post/11"), "Of all");
}

static void another_site_posts_nothing(void **state)
{
    static const char *const from[] = {
        "Sec-Fetch-Site: cross-site\r\n", "Sec-Fetch-Site: same-site\r\n", "Origin: http://evil.example\r\n",
        "Origin: null\r\n", "Origin: http://x.evil.example\r\n",
        "Sec-Fetch-Site: cross-site\r\nOrigin: http://x\r\n", "Sec-Fetch-Site: x\r\n",
        "Origin: x\r\n", "Origin: http://x:81\r\n",
    };
    static const char *const paths[] = { "/new-post", "/edit-post/1", "/delete-post/1", "/login", "/logout" };
    char headers[300];
    (void)state;
    for (size_t i = 0; i < sizeof from / sizeof from[0]; i++)
        for (size_t j = 0; j < sizeof paths / sizeof paths[0]; j++) {
            (void)snprintf(headers, sizeof headers, "%s%s", ada, from[i]);
            assert_has(post(headers, paths[j], "title=Forged&content=words"), "403 Forbidden");
        }
    assert_has_not(get("/"), "Forged");
    assert_has(get("/post/1"), "Why cache at all?");
    assert_has(get_as(ada, "/dashboard"), "Hello, ada");
    (void)snprintf(headers, sizeof headers, "%sOrigin: http://X\r\nSec-Fetch-Site: same-origin\r\n", ada);
    assert_has(post(headers, "/new-post", "title=From+here&content=words"), "303 See Other");
}

/* As behind a proxy that passes on the name of the host without the port. */
static void a_browser_that_says_same_origin_is_believed(void **state)
{
    char headers[300];
    (void)state;
    (void)snprintf(headers, sizeof headers, "%sOrigin: https://x:8443\r\nSec-Fetch-Site: same-origin\r\n", ada);
    assert_has(post(headers, "/new-post", "title=Through+a+proxy&content=words"), "303 See Other");
    (void)snprintf(headers, sizeof headers, "%sOrigin: https://x:8443\r\n", ada);
    assert_has(post(headers, "/new-post", "title=Through+a+proxy&content=words"), "403 Forbidden");
}

/* ---- what is typed ----------------------------------------------------------------------------------------------- */

static void deleting_asks_first(void **state)
{
    (void)state;
    (void)post(ada, "/new-post", "title=Of+ada+%3Cb%3E&content=words");
    assert_has(get_as(ada, "/delete-post/11"), "The post “Of ada &lt;b&gt;” will be gone");
    assert_has(site.answer, "action=\"/delete-post/11\"");
    assert_has(get("/post/11"), "200 OK");
    assert_has(get_as(grace, "/delete-post/11"), "403 Forbidden");
    assert_has(get("/delete-post/11"), "Location: /login");
    assert_has(post(ada, "/delete-post/11", ""), "Set-Cookie: said=deleted");
}

static void lists_have_second_pages(void **state)
{
    static const char *const nowhere[] = { "/?page=3", "/?page=0", "/?page=01", "/?page=x", "/?page=-1", "/?page=",
                                           "/popular?page=9", "/tag/many?page=9", "/author/ada?page=9" };
    char body[60];
    (void)state;
    for (int i = 11; i <= 21; i++) {
        (void)snprintf(body, sizeof body, "title=Number+%d.&content=c&tags=many", i);
        assert_has(post(ada, "/new-post", body), "303 See Other");
    }
    assert_has(get("/"), "Number 21.");
    assert_has(site.answer, "href=\"?page=2\"");
    assert_has_not(site.answer, "Number 11.");
    assert_has(get("/?page=2"), "Number 11.");
    assert_has(site.answer, "href=\"?page=3\"");
    assert_has(get("/?page=2&utm_source=x"), "X-Cache: HIT");
    assert_has(get("/?page=3"), "Why cache at all?");
    assert_has(get("/tag/many?page=2"), "Number 11.");
    assert_has(get("/author/ada?page=2"), "Why cache at all?");
    assert_has(get("/popular?page=2"), "rel=\"prev\"");
    for (size_t i = 1; i < sizeof nowhere / sizeof nowhere[0]; i++)
        assert_has(get(nowhere[i]), "404 Not Found");
    assert_has(post(ada, "/edit-post/11", "title=Changed&content=c"), "303 See Other");    /* second pages, too */
    assert_has(get("/?page=2"), "Changed");
}

static void a_mistake_is_tied_to_its_field(void **state)
{
    (void)state;
    assert_has(post("", "/new-post", "title=t&content="), "href=\"#content\">The post needs a text.</a>");
    assert_has(site.answer, "id=\"content\" name=\"content\" required maxlength=\"10000\" aria-invalid=\"true\" "
                            "aria-describedby=\"content-hint error\"");
    assert_has(post("", "/new-post", "title=t&content=c&tags=a!"), "name=\"tags\" maxlength=\"150\" aria-invalid");
    assert_has_not(get("/new-post"), "aria-invalid");
}

static void an_image_of_another_site_is_a_link(void **state)
{
    (void)state;
    assert_has(post("", "/new-post", "title=t&content=![A+cat](https://cats.example/1.png)+![](http://x/)"
                                     "+![b](/icon.svg)"
                                     "+![c](//x/y)+![d](javascript:x)%0A%0A%23+Big"
                                     "+[![e](https://x/2.png)](/popular)"), "303 See Other");
    assert_has(get("/post/11"), "<a rel=\"nofollow\" href=\"https://cats.example/1.png\">Image: A cat</a>");
    assert_has(site.answer, "Image: without a description</a>");
    assert_has(site.answer, "<img src=\"/icon.svg\" alt=\"b\">");
    assert_has(site.answer, "<a rel=\"nofollow\" href=\"//x/y\">Image: c</a>");
    assert_has(site.answer, "<a rel=\"nofollow\" href=\"#\">Image: d</a>");
    assert_has(site.answer, "<h2>Big <a rel=\"nofollow\" href=\"/popular\">Image: e</a></h2>");
}

static void markdown_becomes_html_and_html_does_not(void **state)
{
    (void)state;
    assert_has(post("", "/new-post",
                    "title=t&content=*soft*+**loud**+%60code%60%0A%0A%23%23+Part%0A%0A-+one%0A-+two%0A%0A"
                    "%3Cscript%3Ealert(1)%3C/script%3E%0A%0A%3Cimg+src=x+onerror=alert(1)%3E%0A%0A"
                    "%7C+a+%7C+b+%7C%0A%7C---%7C---%7C%0A%7C+1+%7C+2+%7C"), "303 See Other");
    assert_has(get("/post/11"), "<em>soft</em> <strong>loud</strong> <code>code</code>");
    assert_has(site.answer, "<h2>Part</h2>");
    assert_has(site.answer, "<li>one</li>");
    assert_has(site.answer, "<td>1</td>");
    assert_has(site.answer, "&lt;script&gt;alert(1)&lt;/script&gt;");
    assert_has_not(site.answer, "<script>");
    assert_has_not(site.answer, "<img");
    assert_has_not(get("/"), "<script>");
    assert_has(site.answer, "soft loud code Part one, two");
}

static void a_list_of_sentences_stays_sentences_at_the_beginning_of_a_post(void **state)
{
    (void)state;
    assert_has(post("", "/new-post", "title=t&content=First:%0A%0A1.+Ask.%0A2.+Wait%0A3.+Read"), "303 See Other");
    assert_has(get("/"), "First: Ask. Wait, Read");
}

static void links_that_run_something_lead_nowhere(void **state)
{
    static const char *const bad[] = {
        "[a](javascript:alert(1))", "[a](JaVaScRiPt:alert(1))", "[a](<javascript:alert(1)>)", "[a](vbscript:x)",
        "[a](java%2526%2523115%3Bcript:alert(1))", "[a](javascript%26colon%3Balert(1))", "[a](data:text/html,x)",
        "%3Cjavascript:alert(1)%3E", "![a](javascript:x)", "[a][r]%0A%0A[r]:+javascript:alert(1)",
        "[a](%09javascript:x)",
        "[a](<java%0Ascript:x>)", "[a](blob:x)", "[a](file:///etc/passwd)",
    };
    char body[300], path[30];
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        (void)snprintf(body, sizeof body, "title=t&content=%s", bad[i]);
        assert_has(post("", "/new-post", body), "303 See Other");
        (void)snprintf(path, sizeof path, "/post/%zu", 11 + i);
        for (const char *at = get(path); (at = strpbrk(at, "hs")) != NULL; at++)
            if (strncmp(at, "href=\"", 6) == 0 || strncmp(at, "src=\"", 5) == 0) {
                const char *address = strchr(at, '"') + 1;
                if (address[strcspn(address, ":/?#\"")] == ':')
                    fail_msg("%s: %.60s", bad[i], at);
            }
    }
    (void)post("", "/new-post",
               "title=t&content=[a](http://a.b/?c=1%26d)+[b](/post/1)+<mailto:a@b.c>+[c](%23part)+[d](x:y/z)");
    assert_has(get("/post/25"), "href=\"http://a.b/?c=1&amp;d\"");
    assert_has(site.answer, "href=\"/post/1\"");
    assert_has(site.answer, "href=\"mailto:a@b.c\"");
    assert_has(site.answer, "href=\"#part\"");
    assert_has_not(site.answer, "x:y");
}

static void tags_are_tidied_or_refused(void **state)
{
    (void)state;
    assert_has(post("", "/new-post", "title=t&content=c&tags=+C,+%23Cache,,cache+two-words%0A"), "303 See Other");
    assert_has(get("/post/11"), ">#c</a> <a class=\"tag\" href=\"/tag/cache\">#cache</a> "
                                "<a class=\"tag\" href=\"/tag/two-words\">#two-words</a></div>");
    assert_has(get("/tag/c"), "<h1>#c</h1>");
    static const char *const bad[] = { "a+b+c+d+e+f", "a/b", "%3Cb%3E", "x%22", "1234567890123456789012345678901" };
    char body[200];
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        (void)snprintf(body, sizeof body, "title=kept&content=c&tags=%s", bad[i]);
        assert_has(post("", "/new-post", body), "400 Bad Request");
        assert_has(site.answer, "value=\"kept\"");
        assert_has(post(ada, "/edit-post/1", body), "400 Bad Request");
    }
    assert_has(get("/tag/%3Cscript%3E"), "404 Not Found");
    assert_has(get("/author/nobody"), "404 Not Found");
    assert_has(get("/author/"), "404 Not Found");
}

static void what_is_no_utf8_is_refused(void **state)
{
    static const char *const bad[] = { "%ff", "%c0%af", "%ed%a0%80", "%f4%90%80%80", "%e2%82", "a%80" };
    char body[100];
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        (void)snprintf(body, sizeof body, "title=t&content=%s", bad[i]);
        assert_has(post("", "/new-post", body), "400 Bad Request");
    }
    assert_has(post("", "/new-post", "title=%F0%9F%90%BF&content=%C3%A9"), "303 See Other");
    assert_has(get("/post/11"), "\xF0\x9F\x90\xBF");
}

#define post_test(name) cmocka_unit_test_setup_teardown(name, start, stop)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        post_test(a_new_post_is_on_every_page_at_once),
        post_test(an_edited_post_is_nowhere_as_it_was),
        post_test(a_deleted_post_is_nowhere),
        post_test(a_post_leaves_the_page_of_a_tag_that_it_no_longer_has),
        post_test(a_change_leaves_the_pages_alone_that_do_not_show_it),
        post_test(an_edit_that_was_answered_is_seen_by_all_who_ask_later),
        post_test(a_post_leads_to_what_its_author_wrote_since),
        post_test(a_post_leads_to_others_and_not_to_itself),
        post_test(readings_are_counted_and_leave_the_cached_post_alone),
        post_test(only_its_author_and_the_admin_change_a_post),
        post_test(a_post_of_nobody_is_everybodys_who_is_logged_in),
        post_test(another_site_posts_nothing),
        post_test(a_browser_that_says_same_origin_is_believed),
        post_test(deleting_asks_first),
        post_test(lists_have_second_pages),
        post_test(a_mistake_is_tied_to_its_field),
        post_test(an_image_of_another_site_is_a_link),
        post_test(markdown_becomes_html_and_html_does_not),
        post_test(a_list_of_sentences_stays_sentences_at_the_beginning_of_a_post),
        post_test(links_that_run_something_lead_nowhere),
        post_test(tags_are_tidied_or_refused),
        post_test(what_is_no_utf8_is_refused),
    };
    site_store_choose(argc, argv);
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    site_store_release();
    return failed;
}
