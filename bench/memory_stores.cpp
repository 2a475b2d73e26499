// memory_stores.cpp - concurrent hash tables of C++: TBB's and libcuckoo, each if it is installed. Neither evicts.
#include "memory_stores.h"

#include <cstring>
#include <functional>
#include <string>
#include <string_view>

#ifdef BENCH_TBB
#include <oneapi/tbb/concurrent_hash_map.h>

namespace {
using tbb_table = tbb::concurrent_hash_map<std::string, std::string>;
tbb_table *tbb_map;

void tbb_open(size_t)
{
    tbb_map = new tbb_table;
}

bool tbb_get(const char *key, char *value, size_t size)
{
    tbb_table::const_accessor found;
    if (!tbb_map->find(found, key))
        return false;
    std::memcpy(value, found->second.data(), size);
    return true;
}

void tbb_set(const char *key, const char *value, size_t size)
{
    tbb_table::accessor at;
    tbb_map->insert(at, key);
    at->second.assign(value, size);
}

bool tbb_has(const char *key)
{
    return tbb_map->count(key) > 0;
}
}

extern "C" const bench_store bench_tbb = { "TBB", tbb_open, tbb_get, tbb_set, nullptr, tbb_has, nullptr, nullptr };
#endif

#ifdef BENCH_CUCKOO
#include <libcuckoo/cuckoohash_map.hh>

namespace {
using cuckoo_table = libcuckoo::cuckoohash_map<std::string, std::string>;
cuckoo_table *cuckoo_map;

void cuckoo_open(size_t)
{
    cuckoo_map = new cuckoo_table;
}

bool cuckoo_get(const char *key, char *value, size_t size)
{
    return cuckoo_map->find_fn(key, [&](const std::string &found) { std::memcpy(value, found.data(), size); });
}

void cuckoo_set(const char *key, const char *value, size_t size)
{
    cuckoo_map->insert_or_assign(key, std::string(value, size));
}

bool cuckoo_has(const char *key)
{
    return cuckoo_map->contains(key);
}
}

extern "C" const bench_store bench_cuckoo = { "libcuckoo", cuckoo_open, cuckoo_get, cuckoo_set, nullptr, cuckoo_has,
                                              nullptr, nullptr };
#endif
