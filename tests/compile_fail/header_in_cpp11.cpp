/* expect: libcache/cache.hpp needs C++17 */
/* options: -std=c++11 */
#include <libcache/cache.hpp>
