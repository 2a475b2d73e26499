/* libcache/version.h - which libcache these headers belong to.
 *
 * The numbers follow semantic versioning; the soname carries the major one. CMakeLists.txt reads them from here. */
#ifndef LIBCACHE_VERSION_H
#define LIBCACHE_VERSION_H

/* The version of these headers. cache_version returns that of the library. */
#define CACHE_VERSION_MAJOR 0
#define CACHE_VERSION_MINOR 1
#define CACHE_VERSION_PATCH 0
#define CACHE_VERSION       "0.1.0"

#ifdef __cplusplus
extern "C" {
#endif

/* The version of the library that runs, which may be newer than the headers: "0.1.0". Static; never NULL. */
const char *cache_version(void);

#ifdef __cplusplus
}
#endif

#endif
