/* test_http.c - sends raw bytes to the blog, and checks what a server owes its clients whatever they send. */
#include "test.h"

#include "site.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static struct site site;

static int start(void **state)
{
    (void)state;
    site_start(&site, "memory://", NULL);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    site_stop(&site);
    return 0;
}

#define END "Host: x\r\nConnection: close\r\n\r\n"

/* The whole answer's status line says 4xx or 505; or the server hung up without a word. */
static void assert_refused(const char *answer, const char *what)
{
    if (answer[0] != '\0' && strncmp(answer, "HTTP/1.1 4", 10) != 0 && strncmp(answer, "HTTP/1.1 505", 12) != 0)
        fail_msg("%.80s was answered: %.120s", what, answer);
}

static void assert_still_serves(void)
{
    assert_has(site_get(&site, "/"), "HTTP/1.1 200 OK");
}

static size_t count(const char *text, const char *part)
{
    size_t n = 0;
    for (const char *at = text; (at = strstr(at, part)) != NULL; at += strlen(part))
        n++;
    return n;
}

/* ---- what is no request ------------------------------------------------------------------------------------------ */

static void a_bad_request_line_is_refused(void **state)
{
    static const char *const lines[] = {
        "nonsense\r\n\r\n", "GET\r\n\r\n", "GET /\r\n\r\n", "GET / HTTP/9.9\r\n" END, "GET / HTTQ/1.1\r\n" END,
        "GET / HTTP/\r\n" END, " / HTTP/1.1\r\n" END, "BREW / HTTP/1.1\r\n" END, "get / HTTP/1.1\r\n" END,
        "GET  HTTP/1.1\r\n" END, "\x16\x03\x01\x02\x01\x01\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "GET / HTTP/1.1\r\nConnection: close\r\n\r\n" /* no Host */,
    };
    (void)state;
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        const int fd = site_connect(&site);
        site_say(fd, lines[i]);
        shutdown(fd, SHUT_WR);
        assert_refused(site_read_all(&site, fd), lines[i]);
    }
    assert_still_serves();
}

static void a_path_that_leads_elsewhere_is_not_found(void **state)
{
    static const char *const paths[] = {
        "/../../etc/passwd", "/..%2f..%2fetc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "/post/../../blog.db",
        "//etc/passwd",
        "/style.css/../blog.db", "/%", "/%zz", "/%f", "/%ff%fe", "/post/%", "/\x80\xff", "/post/1;x", "/post/1%20",
    };
    char request[200];
    (void)state;
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        (void)snprintf(request, sizeof request, "GET %s HTTP/1.1\r\n" END, paths[i]);
        assert_refused(site_talk(&site, request), paths[i]);
        assert_null(strstr(site.answer, "root:"));
    }
    assert_still_serves();
}

static void a_nul_byte_ends_no_path(void **state)
{
    static const char raw[] = "GET /post/1\0x HTTP/1.1\r\n" END;
    (void)state;
    assert_has(site_talk(&site, "GET /post/1%00x HTTP/1.1\r\n" END), "400 Bad Request");
    assert_has(site_talk(&site, "GET /post/1?q=%00 HTTP/1.1\r\n" END), "200 OK");
    const int fd = site_connect(&site);
    site_send(fd, raw, sizeof raw - 1);    /* the server takes it as the end of the address, which is as well */
    shutdown(fd, SHUT_WR);
    (void)site_read_all(&site, fd);
    assert_still_serves();
}

static void huge_headers_are_refused(void **state)
{
    static char request[128 * 1024];
    (void)state;
    char *at = request + sprintf(request, "GET / HTTP/1.1\r\nX-Large: ");
    memset(at, 'x', 100 * 1024);
    strcpy(at + 100 * 1024, "\r\n" END);
    assert_refused(site_talk(&site, request), "a header of 100 KiB");
    at = request + sprintf(request, "GET / HTTP/1.1\r\n");
    while (at < request + 100 * 1024)
        at += sprintf(at, "X-Small: y\r\n");
    strcpy(at, END);
    assert_refused(site_talk(&site, request), "thousands of headers");
    at = request + sprintf(request, "GET /");
    memset(at, 'x', 5000);
    strcpy(at + 5000, " HTTP/1.1\r\n" END);
    assert_has(site_talk(&site, request), "HTTP/1.1 414 ");
    memset(at, 'x', 100 * 1024);
    strcpy(at + 100 * 1024, " HTTP/1.1\r\n" END);
    assert_refused(site_talk(&site, request), "an address of 100 KiB");
    assert_still_serves();
}

/* What two servers in a row may read as two different requests: refused, and the connection closed behind it. */
static void a_request_is_framed_in_one_way(void **state)
{
    static const struct { const char *head, *status; } requests[] = {
        { "POST /new-post HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n", "400" },
        { "POST /new-post HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 0\r\n", "400" },
        { "POST /new-post HTTP/1.1\r\nContent-Length: 17\r\nContent-Length: 17\r\n", "400" },
        { "POST /new-post HTTP/1.1\r\nContent-Length: 17\r\nContent-Length: 18\r\n", "400" },
        { "POST /new-post HTTP/1.1\r\nContent-Length : 17\r\n", "400" },
        { "POST /new-post HTTP/1.1\r\nContent-Length\t: 17\r\n", "400" },
        { "POST /new-post HTTP/1.1\r\nContent-Length: 17\n", "400" },
        { "POST /new-post HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n", "501" },
        { "POST /new-post HTTP/1.1\r\nTransfer-Encoding: xchunked\r\n", "501" },
        { "POST /new-post HTTP/1.1\r\nTransfer-Encoding: identity\r\n", "501" },
        { "POST /new-post HTTP/1.1\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", "501" },
        { "POST /new-post HTTP/1.0\r\nTransfer-Encoding: chunked\r\n", "400" },
        { "GET / HTTP/1.1\r\nHost: y\r\n", "400" },
        { "GET / HTTP/1.1\r\nX-A: a\rb\r\n", "400" },
        { "GET / HTTP/1.1\r\nX-A: a\rContent-Length: 5\r\n", "400" },
        { "GET / HTTP/1.1\r\n: nameless\r\n", "400" },
        { "GET / HTTP/1.1\r\nX-A: a\r\n folded\r\n", "400" },
        { "GET / HTTP/1.1\r\n X-A: a\r\n", "400" },
        { "GET / HTTP/1.1\r\nX-A\x01: a\r\n", "400" },
    };
    static const char nul[] = "GET / HTTP/1.1\r\nX-A: a\0b\r\nHost: x\r\n\r\n";
    char request[300];
    (void)state;
    for (size_t i = 0; i < sizeof requests / sizeof requests[0]; i++) {
        /* Without Connection: close, and with a second request behind it. */
        (void)snprintf(request, sizeof request, "%sHost: x\r\n\r\ntitle=a&content=bGET /popular HTTP/1.1\r\n" END,
                       requests[i].head);
        const char *answer = site_talk(&site, request);
        if (strncmp(answer, "HTTP/1.1 ", 9) != 0 || strncmp(answer + 9, requests[i].status, 3) != 0)
            fail_msg("%s was answered: %.200s", requests[i].head, answer);
        assert_int_equal(count(answer, "HTTP/1.1 "), 1);
        assert_has(answer, "Connection: close");
    }
    const int fd = site_connect(&site);
    site_send(fd, nul, sizeof nul - 1);
    assert_has(site_read_all(&site, fd), "400 Bad Request");
    assert_still_serves();
}

/* Its ends are read leniently by the library: so nothing that stands behind the body is read as a request. */
static void behind_a_body_in_chunks_the_connection_is_closed(void **state)
{
    static const char *const bodies[] = { "11\r\ntitle=a&content=b\r\n0\r\n\r\n", "11\ntitle=a&content=b\n0\n\n",
                                          "11;a\nb\r\ntitle=a&content=b\r\n0\r\n\r\n" };
    char request[400];
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        (void)snprintf(request, sizeof request, "POST /new-post HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n"
                                                "\r\n%sGET /popular HTTP/1.1\r\nHost: x\r\n\r\n", bodies[i]);
        assert_int_equal(count(site_talk(&site, request), "HTTP/1.1 "), 1);
        assert_has(site.answer, "Connection: close");
    }
}

static void a_length_is_a_number(void **state)
{
    static const char *const lengths[] = { "-1", "x", "99999999999999999999999", "+5", "5,5", "0x5", "" };
    char request[300];
    (void)state;
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        (void)snprintf(request, sizeof request, "POST /new-post HTTP/1.1\r\nContent-Length: %s\r\n" END "12345",
                       lengths[i]);
        assert_refused(site_talk(&site, request), lengths[i]);
    }
    assert_still_serves();
}

/* ---- bodies ------------------------------------------------------------------------------------------------------ */

static void a_huge_body_is_refused_before_it_is_sent(void **state)
{
    (void)state;
    assert_has(site_talk(&site, "POST /new-post HTTP/1.1\r\nContent-Length: 5000000000\r\n" END), "HTTP/1.1 413 ");
    assert_has(site_talk(&site, "POST /new-post HTTP/1.1\r\nContent-Length: 70000\r\nExpect: 100-continue\r\n" END),
               "HTTP/1.1 413 ");
    assert_null(strstr(site.answer, "100 Continue"));
    assert_still_serves();
}

static void send_chunks(int fd, size_t n, size_t size)
{
    static char chunk[64 * 1024];
    site_say(fd, "POST /new-post HTTP/1.1\r\nTransfer-Encoding: chunked\r\n" END);
    const int head = snprintf(chunk, sizeof chunk, "%zx\r\n", size);
    memset(chunk + head, 'x', size);
    memcpy(chunk + head + size, "\r\n", 2);
    for (size_t i = 0; i < n; i++)
        site_send(fd, chunk, (size_t)head + size + 2);
}

static void a_chunked_body_is_read_and_one_without_end_is_not(void **state)
{
    (void)state;
    assert_has(site_talk(&site, "POST /new-post HTTP/1.1\r\nTransfer-Encoding: chunked\r\n"
                                "Content-Type: application/x-www-form-urlencoded\r\n" END
                                "b\r\ntitle=Piece\r\n12\r\nmeal&content=Whole\r\n0\r\n\r\n"), "303 See Other");
    assert_has(site_get(&site, "/"), "Piecemeal");
    int fd = site_connect(&site);
    send_chunks(fd, 5, 30000);    /* 150 kB: read to its end, and refused */
    site_say(fd, "0\r\n\r\n");
    assert_has(site_read_all(&site, fd), "HTTP/1.1 413 ");
    fd = site_connect(&site);
    send_chunks(fd, 300, 30000);  /* 9 MB, and no end */
    assert_refused(site_read_all(&site, fd), "a body without end");
    static const char *const broken[] = { "zz\r\n", "-5\r\n", "fffffffffffffffffffffff\r\n", "5\r\nabc\r\n0\r\n\r\n" };
    char request[300];
    for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++) {
        (void)snprintf(request, sizeof request, "POST /new-post HTTP/1.1\r\nTransfer-Encoding: chunked\r\n" END "%s",
                       broken[i]);
        fd = site_connect(&site);
        site_say(fd, request);
        shutdown(fd, SHUT_WR);
        assert_refused(site_read_all(&site, fd), broken[i]);
    }
    assert_still_serves();
}

static void read_until(int fd, char *buffer, size_t size, const char *text)
{
    size_t n = 0;
    buffer[0] = '\0';
    while (strstr(buffer, text) == NULL) {
        const ssize_t got = recv(fd, buffer + n, size - 1 - n, 0);
        if (got <= 0)
            fail_msg("'%s' did not come: %.300s", text, buffer);
        n += (size_t)got;
        buffer[n] = '\0';
    }
}

static void a_client_that_expects_100_continue_gets_it(void **state)
{
    static const char head[] = "POST /new-post HTTP/1.1\r\nContent-Length: 21\r\nExpect: 100-continue\r\n"
                               "Content-Type: application/x-www-form-urlencoded\r\n" END;
    char buffer[500];
    (void)state;
    const int fd = site_connect(&site);
    site_say(fd, head);
    read_until(fd, buffer, sizeof buffer, "100 Continue\r\n\r\n");
    site_say(fd, "title=Later&content=x");
    assert_has(site_read_all(&site, fd), "303 See Other");
}

/* ---- answers ----------------------------------------------------------------------------------------------------- */

static void head_and_304_tell_the_pages_size_and_send_none_of_it(void **state)
{
    char etag[64], request[200];
    (void)state;
    const long size = number_behind(site_get(&site, "/"), "Content-Length: ");
    assert_true(size > 1000);
    assert_int_equal(strlen(strstr(site.answer, "\r\n\r\n") + 4), size);
    assert_int_equal(sscanf(strstr(site.answer, "ETag: "), "ETag: %60s", etag), 1);
    assert_int_equal(number_behind(site_ask(&site, "HEAD", "/", "", ""), "Content-Length: "), size);
    assert_string_equal(strstr(site.answer, "\r\n\r\n"), "\r\n\r\n");
    (void)snprintf(request, sizeof request, "If-None-Match: %s\r\n", etag);
    assert_has(site_ask(&site, "GET", "/", request, ""), "HTTP/1.1 304 Not Modified");
    assert_int_equal(number_behind(site.answer, "Content-Length: "), size);
    assert_string_equal(strstr(site.answer, "\r\n\r\n"), "\r\n\r\n");
}

static void requests_that_come_at_once_are_answered_in_order(void **state)
{
    (void)state;
    (void)site_talk(&site, "GET /post/1 HTTP/1.1\r\nHost: x\r\n\r\nHEAD / HTTP/1.1\r\nHost: x\r\n\r\n"
                           "GET /nothing HTTP/1.1\r\nHost: x\r\n\r\nGET /post/2 HTTP/1.1\r\n" END);
    assert_int_equal(count(site.answer, "HTTP/1.1 200 OK"), 3);
    const char *first = strstr(site.answer, "Why cache at all?"), *missing = strstr(site.answer, "HTTP/1.1 404");
    const char *last = strstr(site.answer, "One computation");
    assert_true(first != NULL && missing > first && last > missing);
}

static void an_old_client_is_answered_and_the_connection_closed(void **state)
{
    (void)state;
    assert_has(site_talk(&site, "GET / HTTP/1.0\r\n\r\n"), " 200 OK");
    assert_has(site.answer, "</html>");
    assert_has(site_talk(&site, "GET http://localhost/post/1 HTTP/1.1\r\n" END), "Why cache at all?");
}

static void a_client_that_has_closed_its_half_gets_its_answer(void **state)
{
    (void)state;
    const int fd = site_connect(&site);
    site_say(fd, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    shutdown(fd, SHUT_WR);
    assert_has(site_read_all(&site, fd), "</html>");
}

/* ---- clients that keep it waiting -------------------------------------------------------------------------------- */

static void idle_and_half_sent_requests_hold_no_thread(void **state)
{
    enum { CLIENTS = 400 };
    static int fds[CLIENTS];
    const struct rlimit files = { 4096, 4096 };
    (void)state;
    (void)setrlimit(RLIMIT_NOFILE, &files);
    for (size_t i = 0; i < CLIENTS; i++) {
        fds[i] = site_connect(&site);
        static const char half_a_form[] = "POST /new-post HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\ntitle=";
        static const char *const parts[] = { "", "GE", "GET / HTTP/1.1\r\nHost:", half_a_form };
        site_say(fds[i], parts[i % 4]);
    }
    assert_still_serves();
    assert_has(site_get(&site, "/post/1"), "200 OK");
    for (size_t i = 0; i < CLIENTS; i++)
        close(fds[i]);
    assert_still_serves();
}

/* It sends a byte each 100 ms, for ever: the server hangs up, though it never fell silent. */
static void a_client_that_dribbles_is_hung_up_on(void **state)
{
    static const char *const limit[] = { "--time-limit", "1", "--threads", "1", NULL };
    const struct timespec pause = { 0, 100 * 1000 * 1000 };
    char byte;
    (void)state;
    site_start(&site, "memory://", limit);
    const int fd = site_connect(&site);
    site_say(fd, "GET / HTTP/1.1\r\nX-Slow: ");
    while (recv(fd, &byte, 1, MSG_DONTWAIT) != 0 && send(fd, "x", 1, MSG_NOSIGNAL) == 1)
        nanosleep(&pause, NULL);
    close(fd);
    assert_still_serves();
}

/* ---- the end, and the log ---------------------------------------------------------------------------------------- */

static void a_request_in_flight_is_finished_before_the_server_stops(void **state)
{
    char buffer[500];
    (void)state;
    const int idle = site_connect(&site), flying = site_connect(&site);
    site_say(idle, "GET /style.css HTTP/1.1\r\nHost: x\r\n\r\n");
    read_until(idle, buffer, sizeof buffer, "\r\n\r\n");
    site_say(flying, "POST /new-post HTTP/1.1\r\nHost: x\r\nContent-Length: 21\r\nExpect: 100-continue\r\n\r\n");
    read_until(flying, buffer, sizeof buffer, "100 Continue\r\n\r\n");
    assert_int_equal(kill(site.server.pid, SIGTERM), 0);
    (void)site_read_all(&site, idle);        /* it is hung up on: the server is about to stop */
    site_say(flying, "title=Later&content=x");
    assert_has(site_read_all(&site, flying), "303 See Other");
    assert_has(site.answer, "Connection: close");
    assert_int_equal(site_signal_and_wait(&site, 0), 0);
}

static void a_port_that_is_taken_is_an_error(void **state)
{
    char command[400];
    (void)state;
    (void)snprintf(command, sizeof command, "%s --port %d --db %s/second.db >/dev/null 2>&1", site_program(),
                   site.server.port, site.server.directory);
    const int status = system(command);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), EXIT_FAILURE);
    assert_still_serves();
}

static void the_access_log_has_a_line_for_each_request(void **state)
{
    char file[128], line[1024], address[64], method[16], path[256], verdict[16];
    unsigned status, bytes;
    double ms;
    test_directory_make(file, sizeof file - 8);
    char *directory_end = file + strlen(file);
    strcpy(directory_end, "/log");
    const char *const arguments[] = { "--access-log", file, NULL };
    (void)state;
    site_start(&site, "memory://", arguments);
    (void)site_get(&site, "/");
    (void)site_ask(&site, "HEAD", "/?password=secret", "", "");
    (void)site_get(&site, "/a%0ab\x1b[31m");
    assert_int_equal(site_signal_and_wait(&site, SIGTERM), 0);
    FILE *log = fopen(file, "r");
    assert_non_null(log);
    static const struct { const char *method, *path, *verdict; unsigned status; bool has_body; } expected[] = {
        { "GET", "/", "MISS", 200, true }, { "HEAD", "/", "HIT", 200, false },
        { "GET", "/a%0ab\\x1b[31m", "BYPASS", 404, true },
    };
    for (size_t i = 0; i < 3; i++) {
        assert_non_null(fgets(line, sizeof line, log));
        assert_int_equal(sscanf(line, "20%*[0-9T:.-]Z %63s %15s %255s %u %u %lf %15s", address, method, path, &status,
                                &bytes, &ms, verdict), 7);
        assert_string_equal(address, "127.0.0.1");
        assert_string_equal(method, expected[i].method);
        assert_string_equal(path, expected[i].path);
        assert_int_equal(status, expected[i].status);
        assert_int_equal(bytes > 0, expected[i].has_body);
        assert_true(ms > 0);
        assert_string_equal(verdict, expected[i].verdict);
    }
    assert_null(fgets(line, sizeof line, log));
    fclose(log);
    *directory_end = '\0';
    test_directory_remove(file);
}

#define http_test(name) cmocka_unit_test_setup_teardown(name, start, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        http_test(a_bad_request_line_is_refused),
        http_test(a_path_that_leads_elsewhere_is_not_found),
        http_test(a_nul_byte_ends_no_path),
        http_test(huge_headers_are_refused),
        http_test(a_request_is_framed_in_one_way),
        http_test(behind_a_body_in_chunks_the_connection_is_closed),
        http_test(a_length_is_a_number),
        http_test(a_huge_body_is_refused_before_it_is_sent),
        http_test(a_chunked_body_is_read_and_one_without_end_is_not),
        http_test(a_client_that_expects_100_continue_gets_it),
        http_test(head_and_304_tell_the_pages_size_and_send_none_of_it),
        http_test(requests_that_come_at_once_are_answered_in_order),
        http_test(an_old_client_is_answered_and_the_connection_closed),
        http_test(a_client_that_has_closed_its_half_gets_its_answer),
        http_test(idle_and_half_sent_requests_hold_no_thread),
        cmocka_unit_test_teardown(a_client_that_dribbles_is_hung_up_on, stop),
        http_test(a_request_in_flight_is_finished_before_the_server_stops),
        http_test(a_port_that_is_taken_is_an_error),
        cmocka_unit_test_teardown(the_access_log_has_a_line_for_each_request, stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
