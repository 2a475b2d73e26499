/* test_cpp_nomem.cpp - checks the C++ header without memory: `new` and the allocator of the cache fail at their n-th
 * call, for every n of a scenario. What is thrown is std::bad_alloc or an error that says so; nothing leaks, no value
 * is wrong, and the cache works afterwards. */
#include <libcache/cache.hpp>

#include <cstdlib>
#include <iostream>
#include <new>

using namespace std::chrono_literals;
using libcache::handle;

static long until_failure = -1;        /* calls that still succeed; below 0: all do */
static long blocks;                    /* given and not taken back */
static bool failed_once;

static void *give(void *block, std::size_t size)
{
    if (until_failure-- == 0) {
        failed_once = true;
        return nullptr;
    }
    void *given = std::realloc(block, size > 0 ? size : 1);
    if (block == nullptr && given != nullptr)
        blocks++;
    return given;
}

static void take(void *block)
{
    if (block != nullptr)
        blocks--;
    std::free(block);
}

void *operator new(std::size_t size)
{
    void *block = give(nullptr, size);
    if (block == nullptr)
        throw std::bad_alloc();
    return block;
}

void operator delete(void *block) noexcept
{
    take(block);
}

void operator delete(void *block, std::size_t) noexcept
{
    take(block);
}

static int failures;

#define CHECK(condition) \
    do { \
        if (!(condition)) { \
            std::cerr << __FILE__ << ':' << __LINE__ << ": " << #condition << '\n'; \
            failures++; \
        } \
    } while (0)

/* Run a part of the scenario; it may end early for lack of memory alone. */
template <class F> static void attempt(F &&part)
{
    try {
        part();
    } catch (const std::bad_alloc &) {
        CHECK(failed_once);
    } catch (const libcache::error &failure) {
        CHECK(failed_once && failure.status() == CACHE_ERR_NOMEM);
    }
}

static void use(handle &cache)
{
    const std::string key(300, 'k'), text(1000, 't');    /* longer than what stays on the stack */
    attempt([&] {
        cache.set(key, text, 60s);
        const auto value = cache.get(key);
        CHECK(!value || value->str() == text);
        CHECK(cache.has(key) && cache.touch(key, 90s));
    });
    attempt([&] {
        cache.add("added", "1");
        CHECK(cache.increment("n", 2) == 2);
        cache.erase("added");
    });
    attempt([&] {
        const auto values = cache.get_many({ key, "nothing", key });
        CHECK(values.size() == 3 && !values[1]);
        CHECK(!values[0] || values[0]->view() == text);
    });
    attempt([&] {
        libcache::fetch_options options(60s);
        options.tags = { "one", "another tag that is too long to stay on the stack" };
        options.name = "a name that is too long to stay on the stack";
        for (int i = 0; i < 2; i++) {
            const auto made = cache.fetch("made", options, [&] { return text + text; });
            CHECK(made->view() == text + text);
            const auto written = cache.fetch("written", options, [&](libcache::writer &out) { out << text << "!"; });
            CHECK(written->view() == text + "!");
        }
        cache.invalidate_tag("one");
    });
    attempt([&] {
        handle part = cache.with_prefix("part:");
        part.set("k", "in a part");
        CHECK(!part.url().empty());
        part.clear();
    });
}

static void run(long n)
{
    const cache_allocator allocator = { [](void *, std::size_t size) { return give(nullptr, size); },
                                        [](void *, void *block, std::size_t size) { return give(block, size); },
                                        [](void *, void *block) { take(block); }, nullptr };
    cache_config config = CACHE_CONFIG_INIT;
    config.url = "memory://";
    config.allocator = &allocator;
    failed_once = false;
    until_failure = n;
    const long before = blocks;
    attempt([&] {
        handle cache(config);
        use(cache);
        until_failure = -1;
        cache.set("k", "works");
        CHECK(cache.get("k")->view() == "works");
    });
    until_failure = -1;
    CHECK(blocks == before);
}

int main()
{
    long n = 0;
    do {
        run(n++);
    } while (failed_once && failures == 0);
    CHECK(n > 50);
    if (failures > 0)
        std::cerr << "where call " << n - 1 << " found no memory\n";
    return failures == 0 ? 0 : 1;
}
