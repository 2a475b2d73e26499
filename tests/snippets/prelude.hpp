// What the C++ in the guides takes for granted: the program around it.
#include <libcache/cache.hpp>

#include <iostream>
#include <string>

struct sqlite3;
std::string render_page(sqlite3 *db);
std::string render_posts(sqlite3 *db);

using namespace std::chrono_literals;
