/* hello_cpp.cpp - the first program in C++17: a cache, a value, and one that is computed on a miss. */
#include <libcache/cache.hpp>

#include <iostream>

using namespace std::chrono_literals;

int main()
{
    try {
        libcache::handle cache("memory://?max_bytes=64mb");
        cache.set("greeting", "hello, cache", 60s);
        if (const auto greeting = cache.get("greeting"))
            std::cout << greeting->view() << '\n';
        for (int i = 0; i < 2; i++) {
            const auto price = cache.fetch("price:42", 60s, [] {
                std::cout << "(asking the database)\n";
                return std::string("19.90");
            });
            std::cout << price->view() << '\n';
        }
    } catch (const libcache::error &failure) {
        std::cerr << failure.what() << '\n';
        return 1;
    }
    return 0;
}
