/* libcache/preprocess.h - what the macros of fragment.h and memoize.h are made of. Not for use by programs. */
#ifndef LIBCACHE_PREPROCESS_H
#define LIBCACHE_PREPROCESS_H

#define CACHE_PP_CAT_(a, b)                   a##b
#define CACHE_PP_CAT(a, b)                    CACHE_PP_CAT_(a, b)
#define CACHE_PP_FIRST(first, ...)            first
#define CACHE_PP_SECOND_(first, second, ...)  second
#define CACHE_PP_SECOND(...)                  CACHE_PP_SECOND_(__VA_ARGS__)
#define CACHE_PP_14TH_(a, b, c, d, e, f, g, h, i, j, k, l, m, n, ...) n
#define CACHE_PP_COUNT(...)                   CACHE_PP_14TH_(__VA_ARGS__, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, ~)
#define CACHE_PP_BARE(...)                    __VA_ARGS__

/* Each of the arguments but the first, a tuple, behind `m`. */
#define CACHE_PP_TAIL(m, ...)                 CACHE_PP_CAT(CACHE_PP_TAIL_, CACHE_PP_COUNT(__VA_ARGS__))(m, __VA_ARGS__)
#define CACHE_PP_TAIL_1(m, x)
#define CACHE_PP_TAIL_2(m, x, a)                               m a
#define CACHE_PP_TAIL_3(m, x, a, b)                            m a m b
#define CACHE_PP_TAIL_4(m, x, a, b, c)                         m a m b m c
#define CACHE_PP_TAIL_5(m, x, a, b, c, d)                      m a m b m c m d
#define CACHE_PP_TAIL_6(m, x, a, b, c, d, e)                   m a m b m c m d m e
#define CACHE_PP_TAIL_7(m, x, a, b, c, d, e, f)                m a m b m c m d m e m f
#define CACHE_PP_TAIL_8(m, x, a, b, c, d, e, f, g)             m a m b m c m d m e m f m g
#define CACHE_PP_TAIL_9(m, x, a, b, c, d, e, f, g, h)          m a m b m c m d m e m f m g m h
#define CACHE_PP_TAIL_10(m, x, a, b, c, d, e, f, g, h, i)      m a m b m c m d m e m f m g m h m i
#define CACHE_PP_TAIL_11(m, x, a, b, c, d, e, f, g, h, i, j)   m a m b m c m d m e m f m g m h m i m j
#define CACHE_PP_TAIL_12(m, x, a, b, c, d, e, f, g, h, i, j, k) m a m b m c m d m e m f m g m h m i m j m k
#define CACHE_PP_TAIL_13(m, x, a, b, c, d, e, f, g, h, i, j, k, l) m a m b m c m d m e m f m g m h m i m j m k m l

#endif
