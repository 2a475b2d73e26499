/* test_weather.c - checks the weather page. The test plays the service that answers, fails and comes back. */
#include "test.h"

#include "site.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

static struct site site;

/* ---- the service ------------------------------------------------------------------------------------------------- */

enum mode { GOOD, BROKEN, NO_SUCH_CITY, REFUSED, NO_JSON, ENDLESS, SILENT };

static struct {
    int fd;
    pthread_t thread;
    char url[64];
    char line[500];                    /* the last request's first line; read when its answer is here */
    _Atomic int mode, asked;
} service;

static void send_text(int fd, const char *text)
{
    (void)send(fd, text, strlen(text), MSG_NOSIGNAL);
}

static void answer(int fd)
{
    static const char *const answers[] = {
        [GOOD] = "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{\"temperature\":21.5,\"condition\":\"<b>sun</b>\"}",
        [BROKEN] = "HTTP/1.1 500 No\r\nConnection: close\r\n\r\n{\"temperature\":99}",
        [NO_SUCH_CITY] = "HTTP/1.1 404 No\r\nConnection: close\r\n\r\n",
        [REFUSED] = "HTTP/1.1 400 No\r\nConnection: close\r\n\r\n",
        [SILENT] = "",
        [NO_JSON] = "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n<html>",
        [ENDLESS] = "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n",
    };
    const int mode = atomic_load(&service.mode);
    char byte;
    if (mode == SILENT)    /* until the blog hangs up */
        (void)recv(fd, &byte, 1, 0);
    send_text(fd, answers[mode]);
    for (int i = 0; mode == ENDLESS && i < 1000; i++)    /* it is hung up on long before */
        send_text(fd, "        { \"padding that is one hundred bytes long\": "
                      "\"................................................\" }\n");
}

static void *serve(void *arg)
{
    (void)arg;
    for (int fd; (fd = accept(service.fd, NULL, NULL)) >= 0; close(fd)) {
        size_t size = 0;
        char request[2000] = "";
        for (ssize_t n; strstr(request, "\r\n\r\n") == NULL && size < sizeof request - 1 &&
                        (n = recv(fd, request + size, sizeof request - 1 - size, 0)) > 0;)
            size += (size_t)n;
        (void)snprintf(service.line, sizeof service.line, "%.*s", (int)strcspn(request, "\r"), request);
        atomic_fetch_add(&service.asked, 1);
        answer(fd);
        shutdown(fd, SHUT_WR);
        while (recv(fd, request, sizeof request, 0) > 0)
            continue;
    }
    return NULL;
}

static void start_service(void)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t size = sizeof address;
    service.fd = socket(AF_INET, SOCK_STREAM, 0);
    atomic_store(&service.mode, GOOD);
    atomic_store(&service.asked, 0);
    assert_int_equal(bind(service.fd, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(service.fd, 16), 0);
    assert_int_equal(getsockname(service.fd, (struct sockaddr *)&address, &size), 0);
    (void)snprintf(service.url, sizeof service.url, "http://127.0.0.1:%d", ntohs(address.sin_port));
    assert_int_equal(pthread_create(&service.thread, NULL, serve, NULL), 0);
}

static void start_site(const char *url, const char *ttl)
{
    const char *const arguments[] = { "--weather-url", url, "--weather-ttl", ttl, NULL };
    site_start_on_store(&site, arguments);
}

static int start(void **state)
{
    (void)state;
    start_service();
    start_site(service.url, "300");
    return 0;
}

static int stop(void **state)
{
    (void)state;
    site_stop(&site);
    shutdown(service.fd, SHUT_RDWR);
    pthread_join(service.thread, NULL);
    close(service.fd);
    return 0;
}

static int stop_site(void **state)
{
    (void)state;
    site_stop(&site);
    return 0;
}

static const char *get(const char *path)
{
    return site_get(&site, path);
}

/* ---- a service that works ---------------------------------------------------------------------------------------- */

static void a_city_is_asked_for_once(void **state)
{
    (void)state;
    assert_has(get("/weather/Oslo"), "\"temperature\":21.5");
    assert_has(site.answer, "application/json");
    assert_string_equal(service.line, "GET /Oslo HTTP/1.1");
    assert_has(get("/weather/Oslo"), "\"temperature\":21.5");
    assert_int_equal(service.asked, 1);
    assert_has(get("/weather/S%C3%A3o%20Paulo"), "200 OK");
    assert_string_equal(service.line, "GET /S%C3%A3o%20Paulo HTTP/1.1");
    assert_int_equal(service.asked, 2);
}

static void a_browser_gets_a_page_that_is_escaped(void **state)
{
    (void)state;
    assert_has(site_ask(&site, "GET", "/weather/Oslo", "Accept: text/html,*/*\r\n", ""), "<h1>Oslo</h1>");
    assert_has(site.answer, "<td>21.5 °C</td>");
    assert_has(site.answer, "&lt;b&gt;sun&lt;/b&gt;");
    assert_has(site.answer, "Vary: Accept");
    assert_int_equal(service.asked, 1);
    assert_has(get("/weather/Oslo"), "application/json");
    assert_int_equal(service.asked, 1);
}

static void what_is_no_city_is_never_asked_for(void **state)
{
    static const char *const names[] = { "", "%2e%2e", "..%2fadmin", "a/b", "a%3fb", "a%23b", "-x", "%ff", "1", "a%0ab",
                                         "{city}", "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx" };
    char path[200];
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        (void)snprintf(path, sizeof path, "/weather/%s", names[i]);
        assert_has(get(path), "400 Bad Request");
    }
    assert_int_equal(service.asked, 0);
}

static void that_there_is_no_such_city_is_remembered(void **state)
{
    (void)state;
    atomic_store(&service.mode, NO_SUCH_CITY);
    assert_has(get("/weather/Atlantis"), "404 Not Found");
    assert_has(get("/weather/Atlantis"), "404 Not Found");
    assert_int_equal(service.asked, 1);
}

static void a_question_that_is_refused_says_nothing_of_other_cities(void **state)
{
    (void)state;
    atomic_store(&service.mode, REFUSED);
    assert_has(get("/weather/Oslo"), "404 Not Found");
    atomic_store(&service.mode, GOOD);
    assert_has(get("/weather/Bergen"), "\"temperature\":21.5");
}

/* Also with one thread that serves: whoever asks outside does it on another. */
static void a_service_that_is_silent_holds_up_no_page(void **state)
{
    enum { CITIES = 5 };
    static const char *const cities[CITIES] = { "Oslo", "Bergen", "Bodo", "Voss", "Molde" };
    char request[100];
    int fds[CITIES];
    (void)state;
    start_service();
    const char *const arguments[] = { "--weather-url", service.url, "--threads", "1", NULL };
    site_start_on_store(&site, arguments);
    atomic_store(&service.mode, SILENT);
    for (int i = 0; i < CITIES; i++) {
        (void)snprintf(request, sizeof request, "GET /weather/%s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
                       cities[i]);
        site_say(fds[i] = site_connect(&site), request);
    }
    while (service.asked == 0)
        continue;
    assert_has(get("/"), "200 OK");
    assert_has(get("/post/1"), "200 OK");
    for (int i = 0; i < CITIES; i++)
        assert_has(site_read_all(&site, fds[i]), "503 Service Unavailable");
    assert_true(service.asked <= 2);    /* at once; then it is left alone */
}

static void a_place_in_the_url_is_filled_in(void **state)
{
    char url[200];
    (void)state;
    start_service();
    (void)snprintf(url, sizeof url, "%s/v1/{city}?units=c", service.url);
    start_site(url, "300");
    assert_has(get("/weather/Oslo"), "21.5");
    assert_string_equal(service.line, "GET /v1/Oslo?units=c HTTP/1.1");
}

/* ---- a service that does not ------------------------------------------------------------------------------------- */

static void a_failure_is_told_and_remembered_for_a_moment(void **state)
{
    enum { TIMES = 20 };
    char path[40];
    (void)state;
    atomic_store(&service.mode, BROKEN);
    for (int i = 0; i < TIMES; i++) {
        (void)snprintf(path, sizeof path, "/weather/City%c", 'a' + i);
        assert_has(get(path), "503 Service Unavailable");
        assert_has(site.answer, "Retry-After: 5");
        assert_has_not(site.answer, "\"temperature\":99");
    }
    assert_true(service.asked >= 1 && service.asked < TIMES);
}

static void an_answer_that_is_no_json_is_a_failure(void **state)
{
    (void)state;
    atomic_store(&service.mode, NO_JSON);
    assert_has(get("/weather/Oslo"), "503 Service Unavailable");
}

static void an_answer_that_is_too_long_is_a_failure(void **state)
{
    (void)state;
    atomic_store(&service.mode, ENDLESS);
    assert_has(get("/weather/Oslo"), "503 Service Unavailable");
}

static void the_last_good_answer_stands_in_while_the_service_is_down(void **state)
{
    (void)state;
    start_service();
    start_site(service.url, "1");
    assert_has(get("/weather/Oslo"), "\"temperature\":21.5");
    atomic_store(&service.mode, BROKEN);
    while (service.asked < 2)    /* until it is too old, and the service is asked again: every answer is the good one */
        assert_has(get("/weather/Oslo"), "\"temperature\":21.5");
    for (int i = 0; i < 20; i++)
        assert_has(get("/weather/Oslo"), "\"temperature\":21.5");
}

static void a_service_that_is_not_there_breaks_nothing_else(void **state)
{
    char url[40];
    (void)state;
    (void)snprintf(url, sizeof url, "http://127.0.0.1:%d", test_free_port());
    start_site(url, "300");
    assert_has(get("/weather/Oslo"), "503 Service Unavailable");
    assert_has(get("/"), "200 OK");
}

static void without_a_url_the_blog_has_a_service_of_its_own(void **state)
{
    (void)state;
    site_start_on_store(&site, NULL);
    assert_has(get("/weather/Oslo"), "\"city\":\"Oslo\",\"temperature\":20");
    assert_has(get("/weather/Atlantis"), "404 Not Found");
}

#define weather_test(name) cmocka_unit_test_setup_teardown(name, start, stop)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        weather_test(a_city_is_asked_for_once),
        weather_test(a_browser_gets_a_page_that_is_escaped),
        weather_test(what_is_no_city_is_never_asked_for),
        weather_test(that_there_is_no_such_city_is_remembered),
        weather_test(a_question_that_is_refused_says_nothing_of_other_cities),
        cmocka_unit_test_teardown(a_service_that_is_silent_holds_up_no_page, stop),
        cmocka_unit_test_teardown(a_place_in_the_url_is_filled_in, stop),
        weather_test(a_failure_is_told_and_remembered_for_a_moment),
        weather_test(an_answer_that_is_no_json_is_a_failure),
        weather_test(an_answer_that_is_too_long_is_a_failure),
        cmocka_unit_test_teardown(the_last_good_answer_stands_in_while_the_service_is_down, stop),
        cmocka_unit_test_teardown(a_service_that_is_not_there_breaks_nothing_else, stop_site),
        cmocka_unit_test_teardown(without_a_url_the_blog_has_a_service_of_its_own, stop_site),
    };
    site_store_choose(argc, argv);
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    site_store_release();
    return failed;
}
