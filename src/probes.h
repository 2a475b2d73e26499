/* probes.h - places where bpftrace, perf or SystemTap can look at a running program (USDT, sys/sdt.h).
 *
 * A probe is one nop and a note in the object file that says where its arguments are. So an argument must be at hand
 * already: a probe must not be a reason to compute one. docs/statistics.md lists the probes and their arguments. */
#ifndef PROBES_H
#define PROBES_H

#ifdef LIBCACHE_HAVE_PROBES
#include <sys/sdt.h>
#ifdef __clang__    /* sys/sdt.h passes no argument where ISO C11 wants one; gcc does not warn in a system's macro */
#pragma clang diagnostic ignored "-Wgnu-zero-variadic-macro-arguments"
#endif
#define CACHE_PROBE_KEY(name, key) STAP_PROBE2(libcache, name, (key).data, (key).size)
#define CACHE_PROBE3(name, a, b, c) STAP_PROBE3(libcache, name, a, b, c)
#define CACHE_PROBE4(name, a, b, c, d) STAP_PROBE4(libcache, name, a, b, c, d)
#else
#define CACHE_PROBE_KEY(name, key) ((void)(key))
#define CACHE_PROBE3(name, a, b, c) ((void)(a), (void)(b), (void)(c))
#define CACHE_PROBE4(name, a, b, c, d) ((void)(a), (void)(b), (void)(c), (void)(d))
#endif

#endif
