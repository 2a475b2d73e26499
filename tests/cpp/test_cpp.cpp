/* test_cpp.cpp - checks the C++ header: values and handles release themselves, and exceptions pass through a fetch
 * without harm. */
#include <libcache/cache.hpp>

#include <atomic>
#include <iostream>
#include <thread>

using namespace std::chrono_literals;
using libcache::handle;

static int failures;

#define CHECK(condition) \
    do { \
        if (!(condition)) { \
            std::cerr << __FILE__ << ':' << __LINE__ << ": " << #condition << '\n'; \
            failures++; \
        } \
    } while (0)

template <class F> static cache_status thrown_by(F &&call)
{
    try {
        call();
    } catch (const libcache::error &failure) {
        return failure.status();
    }
    return CACHE_OK;
}

static void values_are_read_and_written()
{
    handle cache("memory://");
    CHECK(!cache.get("k"));
    cache.set("k", std::string_view("a\0b", 3), 60s);
    auto value = cache.get(std::string("k"));
    CHECK(value && value->size() == 3 && value->view() == std::string_view("a\0b", 3));
    CHECK(cache.has("k") && cache.erase("k") && !cache.erase("k"));
    CHECK(value->str().size() == 3);    /* whatever happens to the key */
    CHECK(cache.add("k", "1") && !cache.add("k", "2", libcache::ttl::forever()));
    CHECK(cache.touch("k", 5min) && !cache.touch("nothing", 1ms));
    CHECK(cache.increment("n") == 1 && cache.increment("n", -3) == -2);
    const auto many = cache.get_many({ "k", "nothing", "n" });
    CHECK(many[0]->view() == "1" && !many[1] && many[2]->view() == "-2");
    cache.set("empty", "");
    CHECK(cache.get("empty") && cache.get("empty")->empty());
    CHECK(cache.stats().hits > 0);
    cache.clear();
    CHECK(!cache.has("k"));
}

static void keys_of_any_length_are_taken()
{
    handle cache("memory://");
    for (std::size_t size : { std::size_t{ 1 }, std::size_t{ 255 }, std::size_t{ 256 }, std::size_t{ 4096 } }) {
        const std::string key(size, 'k');
        cache.set(key, "x");
        CHECK(cache.has(key));
    }
    const std::string longer(5000, 'k');
    CHECK(thrown_by([&] { cache.set(longer, "x"); }) == CACHE_ERR_INVALID);
    CHECK(thrown_by([&] { cache.get(std::string_view("a\0b", 3)); }) == CACHE_ERR_INVALID);
    CHECK(thrown_by([&] { cache.get(""); }) == CACHE_ERR_INVALID);
}

static void a_nul_does_not_make_another_key_of_it()
{
    handle cache("memory://");
    const std::string nul("a\0b", 3);
    const auto compute = [] { return "x"; };
    cache.set("a", "another's");
    CHECK(thrown_by([&] { cache.get_many({ nul }); }) == CACHE_ERR_INVALID);
    libcache::fetch_options tagged(60s), named(60s), typed(60s);
    tagged.tags = { nul };
    named.name = nul;
    typed.type = nul;
    for (const auto &options : { tagged, named, typed })
        CHECK(thrown_by([&] { cache.fetch("k", options, compute); }) == CACHE_ERR_INVALID);
    CHECK(!cache.has("k"));
}

static void options_of_old_values_reach_the_fetch()
{
    handle cache("memory://");
    libcache::fetch_options options(60s);
    options.refresh_after = 2;    /* 0 to 1 */
    CHECK(thrown_by([&] { cache.fetch("k", options, [] { return "x"; }); }) == CACHE_ERR_INVALID);
    options.refresh_after = 0.5;
    options.soft_timeout = -1s;
    CHECK(thrown_by([&] { cache.fetch("k", options, [] { return "x"; }); }) == CACHE_ERR_INVALID);
    options.soft_timeout = 1s;
    options.error_ttl = -1s;
    CHECK(thrown_by([&] { cache.fetch("k", options, [] { return "x"; }); }) == CACHE_ERR_INVALID);
    options.error_ttl = 2s;
    CHECK(cache.fetch("k", options, [] { return "x"; })->view() == "x");
}

static void times_that_are_none_are_refused()
{
    handle cache("memory://");
    CHECK(thrown_by([&] { cache.set("k", "x", 0s); }) == CACHE_ERR_INVALID);
    CHECK(thrown_by([&] { cache.set("k", "x", -1s); }) == CACHE_ERR_INVALID);    /* not for ever */
    CHECK(!cache.has("k"));
    CHECK(thrown_by([] { handle wrong("nosuch://"); }) == CACHE_ERR_CONFIG);
}

static void handles_move_and_values_outlive_them()
{
    handle first("memory://");
    first.set("k", "kept");
    handle second(std::move(first));
    CHECK(first.c_handle() == nullptr && !first.get("k"));    /* moved from: the cache that holds nothing */
    first = std::move(second);
    auto value = first.get("k");
    auto part = first.with_prefix("part:");
    first = handle();
    part.set("k", "in a part");
    CHECK(value->view() == "kept" && part.get("k")->view() == "in a part");
    libcache::value taken(std::move(*value));
    CHECK(taken.view() == "kept" && value->empty());
    CHECK(part.url() == "memory://" && part.answers() && !first.answers());
}

static void a_fetch_computes_once()
{
    handle cache("memory://");
    int runs = 0;
    for (int i = 0; i < 2; i++) {
        const auto text = cache.fetch("text", 60s, [&] { return "run " + std::to_string(++runs); });
        CHECK(text->view() == "run 1");
        const auto written = cache.fetch("written", 60s, [](libcache::writer &out) { out << "a" << "b"; });
        CHECK(written->view() == "ab");
    }
    CHECK(!cache.fetch("nothing", 60s, [] { return std::optional<std::string>(); }));
    CHECK(!cache.fetch("nothing", 60s, [](libcache::writer &) { return false; }));
    CHECK(cache.fetch("status", 60s, [](libcache::writer &out) { return cache_writer_puts(out.c_writer(), "c"); })
              ->view() == "c");
    libcache::fetch_options options(60s);
    options.tags = { "posts" };
    cache_fetch_info info;
    options.info = &info;
    cache.fetch("tagged", options, [] { return "old"; });
    cache.invalidate_tag("posts");
    CHECK(cache.fetch("tagged", options, [] { return "new"; })->view() == "new");
    CHECK(info.source == CACHE_SOURCE_COMPUTED);
    CHECK(handle().fetch("k", 60s, [] { return "computed"; })->view() == "computed");
}

struct domain_error {
    int number;
};

static void an_exception_passes_through_and_leaves_nothing()
{
    handle cache("memory://");
    bool caught = false;
    try {
        cache.fetch("k", 60s, []() -> std::string { throw domain_error{ 7 }; });
    } catch (const domain_error &failure) {
        caught = failure.number == 7;
    }
    CHECK(caught);
    /* The flight has ended: the next caller computes at once, and need not wait. */
    CHECK(cache.fetch("k", 60s, [] { return "fine"; })->view() == "fine");
    CHECK(thrown_by([&] {
              cache.fetch("other", 60s, [](libcache::writer &) -> cache_status { return CACHE_ERR_IO; });
          }) == CACHE_ERR_IO);
}

static void an_exception_is_replaced_by_an_old_value_if_there_is_one()
{
    handle cache("memory://");
    libcache::fetch_options options(10ms);
    options.stale_if_error = 60s;
    cache.fetch("k", options, [] { return "old"; });
    const auto began = std::chrono::steady_clock::now();
    bool failed = false;
    while (!failed && std::chrono::steady_clock::now() - began < 20s) {
        const auto value = cache.fetch("k", options, [&]() -> std::string {
            failed = true;
            throw std::runtime_error("no database");
        });
        CHECK(value->view() == "old");
    }
    CHECK(failed);
}

/* The second thread is let in while the first computes; whether it comes in time to wait, or computes itself, each gets
 * the failure in one of its two forms. */
static void the_failure_reaches_everybody()
{
    handle cache("memory://");
    std::atomic<bool> computing{ false }, joined{ false };
    std::atomic<int> passed{ 0 }, told{ 0 };
    auto fetch = [&] {
        try {
            cache.fetch("k", 60s, [&]() -> std::string {
                computing = true;
                while (!joined)
                    std::this_thread::yield();
                throw std::runtime_error("no database");
            });
        } catch (const libcache::error &) {
            told++;
        } catch (const std::runtime_error &failure) {
            passed += std::string(failure.what()) == "no database";
        }
    };
    std::thread first(fetch);
    while (!computing)
        std::this_thread::yield();
    std::thread second([&] {
        joined = true;
        fetch();
    });
    first.join();
    second.join();
    CHECK(passed + told == 2 && passed >= 1);
}

int main()
{
    values_are_read_and_written();
    keys_of_any_length_are_taken();
    a_nul_does_not_make_another_key_of_it();
    options_of_old_values_reach_the_fetch();
    times_that_are_none_are_refused();
    handles_move_and_values_outlive_them();
    a_fetch_computes_once();
    an_exception_passes_through_and_leaves_nothing();
    an_exception_is_replaced_by_an_old_value_if_there_is_one();
    the_failure_reaches_everybody();
    return failures == 0 ? 0 : 1;
}
