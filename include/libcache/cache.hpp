/* libcache/cache.hpp - the everyday API for C++17: handles and values that release themselves, keys and values as
 * std::string_view, and times as std::chrono durations.
 *
 *     libcache::handle cache("memory://?max_bytes=64mb");
 *     cache.set("greeting", "hello", 60s);
 *     if (auto value = cache.get("greeting"))
 *         std::cout << value->view();
 *     auto page = cache.fetch("page", 60s, [&] { return render_page(); });      computed once, by one thread
 *
 * Failures are thrown as libcache::error. A missing key is not a failure: it is an empty std::optional or false. Any
 * number of threads may use one handle at once. This header needs no library except libcache. What it lacks is in
 * cache.h, and c_handle() returns the cache_t for it. */
#ifndef LIBCACHE_CACHE_HPP
#define LIBCACHE_CACHE_HPP

#if !defined(__cplusplus) || __cplusplus < 201703L
#error "libcache/cache.hpp needs C++17: compile with -std=c++17 or later, or use libcache/cache.h"
#endif

#include <libcache/backend.h>
#include <libcache/cache.h>

#include <chrono>
#include <cstring>
#include <exception>
#include <functional>
#include <limits>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace libcache {

/* A failure, with the text of cache_last_error(). */
class error : public std::runtime_error {
public:
    error(cache_status status, const char *text) : std::runtime_error(text), status_(status) {}
    cache_status status() const noexcept { return status_; }

private:
    cache_status status_;
};

/* Throws an error if `status` is negative, and else returns it. */
inline cache_status check(cache_status status)
{
    if (status < 0)
        throw error(status, cache_last_error());
    return status;
}

/* How long a value lives: any duration above 0, ttl::by_default() or ttl::forever(). A call with a duration of 0 or
 * less throws CACHE_ERR_INVALID. */
class ttl {
public:
    template <class Rep, class Period>
    constexpr ttl(std::chrono::duration<Rep, Period> time) noexcept
        : seconds_(time.count() > 0 ? std::chrono::duration<double>(time).count()
                                    : std::numeric_limits<double>::quiet_NaN())
    {
    }
    static constexpr ttl by_default() noexcept { return ttl(CACHE_TTL_DEFAULT); }
    static constexpr ttl forever() noexcept { return ttl(CACHE_TTL_FOREVER); }
    constexpr double seconds() const noexcept { return seconds_; }

private:
    constexpr explicit ttl(double seconds) noexcept : seconds_(seconds) {}
    double seconds_;
};

/* A read-only value, which its destructor releases. It does not change, whatever happens to its key. */
class value {
public:
    value() noexcept = default;
    explicit value(cache_value taken) noexcept : value_(taken) {}    /* takes ownership */
    value(value &&other) noexcept : value_(std::exchange(other.value_, cache_value{ nullptr, 0, nullptr })) {}
    value &operator=(value &&other) noexcept
    {
        if (this != &other) {
            cache_value_release(&value_);
            value_ = std::exchange(other.value_, cache_value{ nullptr, 0, nullptr });
        }
        return *this;
    }
    value(const value &) = delete;
    value &operator=(const value &) = delete;
    ~value() { cache_value_release(&value_); }

    const char *data() const noexcept { return static_cast<const char *>(value_.data); }
    std::size_t size() const noexcept { return value_.size; }
    bool empty() const noexcept { return value_.size == 0; }
    std::string_view view() const noexcept { return { value_.data != nullptr ? data() : "", value_.size }; }
    operator std::string_view() const noexcept { return view(); }
    std::string str() const { return std::string(view()); }

private:
    cache_value value_{ nullptr, 0, nullptr };
};

/* A computation appends its value to this. It is a view of a cache_writer, valid during the call. */
class writer {
public:
    explicit writer(cache_writer *out) noexcept : out_(out) {}
    writer &append(std::string_view bytes)
    {
        check(cache_writer_append(out_, bytes.data(), bytes.size()));
        return *this;
    }
    writer &operator<<(std::string_view bytes) { return append(bytes); }
    void set_ttl(ttl time) { check(cache_writer_set_ttl(out_, time.seconds())); }
    void no_store() noexcept { cache_writer_no_store(out_); }
    cache_writer *c_writer() const noexcept { return out_; }

private:
    cache_writer *out_;
};

/* How to fetch. The fields are those of cache_fetch_options. */
struct fetch_options {
    libcache::ttl ttl = libcache::ttl::by_default();
    std::chrono::duration<double> stale{ 0 }, stale_if_error{ 0 }, negative_ttl{ 0 }, wait{ 0 }, lock_ttl{ 0 };
    std::chrono::duration<double> soft_timeout{ 0 }, error_ttl{ 0 };
    double jitter = 0, beta = 0, refresh_after = 0;
    bool lock = false, force = false, unless = false, no_wait = false;
    std::vector<std::string> tags;
    std::string name, type;
    cache_fetch_info *info = nullptr;

    fetch_options() = default;
    fetch_options(libcache::ttl time) : ttl(time) {}
    template <class Rep, class Period>
    fetch_options(std::chrono::duration<Rep, Period> time) : ttl(time)
    {
    }
};

namespace detail {

/* C would take a text with a NUL for a shorter one, and so for another key. */
inline void refuse_nul(std::string_view text)
{
    if (text.find('\0') != std::string_view::npos)
        throw error(CACHE_ERR_INVALID, "a URL, key, prefix, tag, name or type contains a NUL");
}

/* A text that ends with a NUL, as C needs it. Short ones are on the stack. */
class c_text {
public:
    explicit c_text(std::string_view text)
    {
        refuse_nul(text);
        if (text.size() < sizeof small_) {
            if (!text.empty())
                std::memcpy(small_, text.data(), text.size());
            small_[text.size()] = '\0';
        } else
            large_.assign(text);
    }
    const char *get() const noexcept { return large_.empty() ? small_ : large_.c_str(); }

private:
    char small_[256];
    std::string large_;
};

/* The options as a C struct, valid during one call. */
class c_options {
public:
    explicit c_options(const fetch_options &from)
    {
        refuse_nul(from.name);
        refuse_nul(from.type);
        for (const std::string &tag : from.tags) {
            refuse_nul(tag);
            tags_.push_back(tag.c_str());
        }
        options_.ttl = from.ttl.seconds();
        options_.stale = from.stale.count();
        options_.stale_if_error = from.stale_if_error.count();
        options_.negative_ttl = from.negative_ttl.count();
        options_.wait = from.wait.count();
        options_.lock_ttl = from.lock_ttl.count();
        options_.soft_timeout = from.soft_timeout.count();
        options_.error_ttl = from.error_ttl.count();
        options_.refresh_after = from.refresh_after;
        options_.jitter = from.jitter;
        options_.beta = from.beta;
        options_.lock = from.lock;
        options_.force = from.force;
        options_.unless = from.unless;
        options_.no_wait = from.no_wait;
        options_.tags = tags_.empty() ? nullptr : tags_.data();
        options_.n_tags = tags_.size();
        options_.name = from.name.empty() ? nullptr : from.name.c_str();
        options_.type = from.type.empty() ? nullptr : from.type.c_str();
        options_.info = from.info;
    }
    const cache_fetch_options *get() const noexcept { return &options_; }

private:
    cache_fetch_options options_ = CACHE_FETCH_OPTIONS_INIT;
    std::vector<const char *> tags_;
};

template <class T> struct is_optional : std::false_type {};
template <class T> struct is_optional<std::optional<T>> : std::true_type {};

/* A computation, and the exception that ended it. No exception passes through C code. */
template <class F> struct computation {
    F &compute;
    std::exception_ptr thrown;

    cache_status write(cache_writer *out)
    {
        if constexpr (std::is_invocable_v<F &, writer &>) {
            writer to(out);
            using result = std::invoke_result_t<F &, writer &>;
            if constexpr (std::is_void_v<result>) {
                std::invoke(compute, to);
                return cache_writer_status(out);
            } else if constexpr (std::is_same_v<result, bool>)
                return std::invoke(compute, to) ? cache_writer_status(out) : CACHE_MISS;
            else {
                static_assert(std::is_same_v<result, cache_status>,
                              "libcache: a computation that takes a writer returns nothing, a bool or a cache_status");
                return std::invoke(compute, to);
            }
        } else {
            static_assert(std::is_invocable_v<F &>,
                          "libcache: a computation takes a libcache::writer & or nothing");
            const auto made = std::invoke(compute);
            if constexpr (is_optional<std::decay_t<decltype(made)>>::value) {
                if (!made)
                    return CACHE_MISS;
                return append(out, *made);
            } else
                return append(out, made);
        }
    }

    static cache_status append(cache_writer *out, std::string_view bytes)
    {
        return cache_writer_append(out, bytes.data(), bytes.size());
    }

    static cache_status call(void *ctx, cache_writer *out) noexcept
    {
        auto *self = static_cast<computation *>(ctx);
        try {
            return self->write(out);
        } catch (const error &failure) {
            self->thrown = std::current_exception();
            return cache_fail(failure.status(), "%s", failure.what());
        } catch (const std::exception &failure) {
            self->thrown = std::current_exception();
            return cache_fail(CACHE_ERR_COMPUTE, "%s", failure.what());
        } catch (...) {
            self->thrown = std::current_exception();
            return cache_fail(CACHE_ERR_COMPUTE, "an exception that is no std::exception");
        }
    }
};

} // namespace detail

/* A handle, which its destructor closes. A handle without a URL, or one that was moved from, is a cache that holds
 * nothing: reads miss, and fetched values are computed. */
class handle {
public:
    handle() noexcept = default;
    explicit handle(std::string_view url) { check(cache_open(detail::c_text(url).get(), &cache_)); }
    explicit handle(const cache_config &config) { check(cache_open_config(&config, &cache_)); }
    explicit handle(cache_t *taken) noexcept : cache_(taken) {}    /* takes ownership; may be null */
    handle(handle &&other) noexcept : cache_(std::exchange(other.cache_, nullptr)) {}
    handle &operator=(handle &&other) noexcept
    {
        if (this != &other) {
            cache_close(cache_);
            cache_ = std::exchange(other.cache_, nullptr);
        }
        return *this;
    }
    handle(const handle &) = delete;
    handle &operator=(const handle &) = delete;
    ~handle() { cache_close(cache_); }

    static handle from_environment()
    {
        cache_t *made = nullptr;
        check(cache_open_env(&made));
        return handle(made);
    }
    handle with_prefix(std::string_view prefix) const
    {
        cache_t *made = nullptr;
        check(cache_with_prefix(cache_, detail::c_text(prefix).get(), &made));
        return handle(made);
    }
    cache_t *c_handle() const noexcept { return cache_; }
    std::string url() const { return cache_url(cache_); }
    bool answers() const noexcept { return cache_ping(cache_) == CACHE_OK; }

    /* ---- values: an empty optional or false means that the key does not exist ---- */

    std::optional<value> get(std::string_view key) const
    {
        cache_value got{ nullptr, 0, nullptr };
        if (check(cache_get(cache_, detail::c_text(key).get(), &got)) != CACHE_OK)
            return std::nullopt;
        return value(got);
    }
    void set(std::string_view key, std::string_view bytes, ttl time = ttl::by_default())
    {
        check(cache_set(cache_, detail::c_text(key).get(), bytes.data(), bytes.size(), time.seconds()));
    }
    bool add(std::string_view key, std::string_view bytes, ttl time = ttl::by_default())    /* false: the key exists */
    {
        return check(cache_add(cache_, detail::c_text(key).get(), bytes.data(), bytes.size(), time.seconds())) ==
               CACHE_OK;
    }
    bool erase(std::string_view key) { return check(cache_delete(cache_, detail::c_text(key).get())) == CACHE_OK; }
    bool has(std::string_view key) const { return check(cache_has(cache_, detail::c_text(key).get())) == CACHE_OK; }
    bool touch(std::string_view key, ttl time)
    {
        return check(cache_touch(cache_, detail::c_text(key).get(), time.seconds())) == CACHE_OK;
    }
    std::int64_t increment(std::string_view key, std::int64_t delta = 1)
    {
        std::int64_t number = 0;
        check(cache_inc(cache_, detail::c_text(key).get(), delta, &number));
        return number;
    }
    std::vector<std::optional<value>> get_many(const std::vector<std::string> &keys) const
    {
        std::vector<const char *> texts;
        for (const std::string &key : keys) {
            detail::refuse_nul(key);
            texts.push_back(key.c_str());
        }
        std::vector<cache_value> got(keys.size(), cache_value{ nullptr, 0, nullptr });
        std::vector<std::optional<value>> values(keys.size());    /* before there is anything that it could lose */
        const cache_status status = cache_get_many(cache_, texts.data(), texts.size(), got.data());
        for (std::size_t i = 0; i < got.size(); i++)
            if (got[i].data != nullptr)
                values[i].emplace(got[i]);
        check(status);
        return values;
    }
    void clear() { check(cache_clear(cache_)); }
    void invalidate_tag(std::string_view tag) { check(cache_invalidate_tag(cache_, detail::c_text(tag).get())); }
    cache_counters stats() const
    {
        cache_counters counters{};
        check(cache_stats(cache_, &counters));
        return counters;
    }

    /* ---- compute on a miss ---- *
     *
     * Returns the value of `key`, or calls `compute` and stores its result. Only one computation of a key runs at a
     * time, and the other callers share its result. `compute` takes no argument and returns something that converts to
     * std::string_view, or an optional of that; or it takes a libcache::writer & and returns nothing, a bool or a
     * cache_status. With an empty optional, false or CACHE_MISS there is no value, and fetch returns an empty optional.
     * If `compute` throws, nothing is stored. The exception reaches the caller whose call ran `compute`, unless
     * stale_if_error allows an old value; the callers that waited get an error with its text. */
    template <class F>
    std::optional<value> fetch(std::string_view key, const fetch_options &options, F &&compute)
    {
        detail::computation<std::remove_reference_t<F>> computation{ compute, nullptr };
        cache_value got{ nullptr, 0, nullptr };
        const cache_status status = cache_fetch(cache_, detail::c_text(key).get(), detail::c_options(options).get(),
                                                computation.call, &computation, &got);
        if (status < 0 && computation.thrown != nullptr)
            std::rethrow_exception(computation.thrown);
        if (check(status) != CACHE_OK)
            return std::nullopt;
        return value(got);
    }

private:
    cache_t *cache_ = nullptr;
};

} // namespace libcache

#endif
