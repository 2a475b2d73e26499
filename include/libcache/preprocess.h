/* libcache/preprocess.h - what the macros of fragment.h and memoize.h are made of. Not for use by programs. */
#ifndef LIBCACHE_PREPROCESS_H
#define LIBCACHE_PREPROCESS_H

#include <libcache/version.h>

#define CACHE_PP_CAT_(a, b)                   a##b
#define CACHE_PP_CAT(a, b)                    CACHE_PP_CAT_(a, b)
#define CACHE_PP_FIRST(first, ...)            first
#define CACHE_PP_SECOND_(first, second, ...)  second
#define CACHE_PP_SECOND(...)                  CACHE_PP_SECOND_(__VA_ARGS__)
#define CACHE_PP_BARE(...)                    __VA_ARGS__

/* The number of arguments: 1 to 16, or MANY for 17 to 40. */
#define CACHE_PP_41ST_(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t, u, v, w, x, y, z, A, B, C, D, E,    \
                       F, G, H, I, J, K, L, M, N, O, ...) O
#define CACHE_PP_COUNT(...)                                                                                            \
    CACHE_PP_41ST_(__VA_ARGS__, MANY, MANY, MANY, MANY, MANY, MANY, MANY, MANY, MANY, MANY, MANY, MANY, MANY, MANY,    \
                   MANY, MANY, MANY, MANY, MANY, MANY, MANY, MANY, MANY, MANY, 16, 15, 14, 13, 12, 11, 10, 9, 8, 7, 6, \
                   5, 4, 3, 2, 1, ~)

/* 1 if the argument is in brackets, else 0. */
#define CACHE_PP_PROBE(...)                   ~, 1
#define CACHE_PP_IN_BRACKETS(x)               CACHE_PP_SECOND(CACHE_PP_PROBE x, 0, ~)

/* 1 if the argument is a list in brackets, (a, b), with two elements or more; else 0. */
#define CACHE_PP_IS_LIST(x)                   CACHE_PP_CAT(CACHE_PP_IS_LIST_, CACHE_PP_IN_BRACKETS(x))(x)
#define CACHE_PP_IS_LIST_0(x)                 0
#define CACHE_PP_IS_LIST_1(x)                 CACHE_PP_HAS_TWO x
#define CACHE_PP_HAS_TWO(...)                                                                                          \
    CACHE_PP_41ST_(__VA_ARGS__, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,       \
                   1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, ~)

#define CACHE_PP_AND(a, b)                    CACHE_PP_CAT(CACHE_PP_AND_, CACHE_PP_CAT(a, b))
#define CACHE_PP_AND_00                       0
#define CACHE_PP_AND_01                       0
#define CACHE_PP_AND_10                       0
#define CACHE_PP_AND_11                       1

/* 1 if every argument except the first is in brackets, else 0; MANY if there are more than 13. */
#define CACHE_PP_TAIL_IN_BRACKETS(...)                                                                                 \
    CACHE_PP_CAT(CACHE_PP_BRACKETS_, CACHE_PP_COUNT(__VA_ARGS__))(__VA_ARGS__)
#define CACHE_PP_BRACKETS_1(x)                1
#define CACHE_PP_BRACKETS_2(x, a)             CACHE_PP_IN_BRACKETS(a)
#define CACHE_PP_BRACKETS_3(x, a, ...) CACHE_PP_AND(CACHE_PP_IN_BRACKETS(a), CACHE_PP_BRACKETS_2(x, __VA_ARGS__))
#define CACHE_PP_BRACKETS_4(x, a, ...) CACHE_PP_AND(CACHE_PP_IN_BRACKETS(a), CACHE_PP_BRACKETS_3(x, __VA_ARGS__))
#define CACHE_PP_BRACKETS_5(x, a, ...) CACHE_PP_AND(CACHE_PP_IN_BRACKETS(a), CACHE_PP_BRACKETS_4(x, __VA_ARGS__))
#define CACHE_PP_BRACKETS_6(x, a, ...) CACHE_PP_AND(CACHE_PP_IN_BRACKETS(a), CACHE_PP_BRACKETS_5(x, __VA_ARGS__))
#define CACHE_PP_BRACKETS_7(x, a, ...) CACHE_PP_AND(CACHE_PP_IN_BRACKETS(a), CACHE_PP_BRACKETS_6(x, __VA_ARGS__))
#define CACHE_PP_BRACKETS_8(x, a, ...) CACHE_PP_AND(CACHE_PP_IN_BRACKETS(a), CACHE_PP_BRACKETS_7(x, __VA_ARGS__))
#define CACHE_PP_BRACKETS_9(x, a, ...) CACHE_PP_AND(CACHE_PP_IN_BRACKETS(a), CACHE_PP_BRACKETS_8(x, __VA_ARGS__))
#define CACHE_PP_BRACKETS_10(x, a, ...) CACHE_PP_AND(CACHE_PP_IN_BRACKETS(a), CACHE_PP_BRACKETS_9(x, __VA_ARGS__))
#define CACHE_PP_BRACKETS_11(x, a, ...) CACHE_PP_AND(CACHE_PP_IN_BRACKETS(a), CACHE_PP_BRACKETS_10(x, __VA_ARGS__))
#define CACHE_PP_BRACKETS_12(x, a, ...) CACHE_PP_AND(CACHE_PP_IN_BRACKETS(a), CACHE_PP_BRACKETS_11(x, __VA_ARGS__))
#define CACHE_PP_BRACKETS_13(x, a, ...) CACHE_PP_AND(CACHE_PP_IN_BRACKETS(a), CACHE_PP_BRACKETS_12(x, __VA_ARGS__))
#define CACHE_PP_BRACKETS_14(...)            MANY
#define CACHE_PP_BRACKETS_15(...)            MANY
#define CACHE_PP_BRACKETS_16(...)            MANY
#define CACHE_PP_BRACKETS_MANY(...)          MANY

/* m(a) m(b) … for each argument except the first. They stand in brackets, and there are at most 12. */
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

/* m(a), m(b), … for up to 16 arguments. */
#define CACHE_PP_EACH_MANY(m, ...)                                                                                     \
    m((sizeof(struct { _Static_assert(0, "libcache: this list has at most 16 elements"); int unused; }), (char *)0))
#define CACHE_PP_EACH(m, ...)                 CACHE_PP_CAT(CACHE_PP_EACH_, CACHE_PP_COUNT(__VA_ARGS__))(m, __VA_ARGS__)
#define CACHE_PP_EACH_1(m, a)                 m(a)
#define CACHE_PP_EACH_2(m, a, ...)           m(a), CACHE_PP_EACH_1(m, __VA_ARGS__)
#define CACHE_PP_EACH_3(m, a, ...)           m(a), CACHE_PP_EACH_2(m, __VA_ARGS__)
#define CACHE_PP_EACH_4(m, a, ...)           m(a), CACHE_PP_EACH_3(m, __VA_ARGS__)
#define CACHE_PP_EACH_5(m, a, ...)           m(a), CACHE_PP_EACH_4(m, __VA_ARGS__)
#define CACHE_PP_EACH_6(m, a, ...)           m(a), CACHE_PP_EACH_5(m, __VA_ARGS__)
#define CACHE_PP_EACH_7(m, a, ...)           m(a), CACHE_PP_EACH_6(m, __VA_ARGS__)
#define CACHE_PP_EACH_8(m, a, ...)           m(a), CACHE_PP_EACH_7(m, __VA_ARGS__)
#define CACHE_PP_EACH_9(m, a, ...)           m(a), CACHE_PP_EACH_8(m, __VA_ARGS__)
#define CACHE_PP_EACH_10(m, a, ...)          m(a), CACHE_PP_EACH_9(m, __VA_ARGS__)
#define CACHE_PP_EACH_11(m, a, ...)          m(a), CACHE_PP_EACH_10(m, __VA_ARGS__)
#define CACHE_PP_EACH_12(m, a, ...)          m(a), CACHE_PP_EACH_11(m, __VA_ARGS__)
#define CACHE_PP_EACH_13(m, a, ...)          m(a), CACHE_PP_EACH_12(m, __VA_ARGS__)
#define CACHE_PP_EACH_14(m, a, ...)          m(a), CACHE_PP_EACH_13(m, __VA_ARGS__)
#define CACHE_PP_EACH_15(m, a, ...)          m(a), CACHE_PP_EACH_14(m, __VA_ARGS__)
#define CACHE_PP_EACH_16(m, a, ...)          m(a), CACHE_PP_EACH_15(m, __VA_ARGS__)

#endif
