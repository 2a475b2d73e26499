#!/bin/sh
# The C in the guides compiles, as it stands there: every ```c block of the files that are named. A block that begins a
# line with what stands outside of functions is a file of its own, any other one a function's body; prelude.h comes
# before both.
# A ```cpp block is a function's body, but for the lines that include and use.
#   check.sh INCLUDE_DIR FILE.md…
set -eu
here=$(dirname "$0")
include=$1
shift
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for guide in "$@"; do
    awk -v out="$work/$(basename "$guide" .md)" '
        /^```c$/ { inside = 1; file = out "-" NR ".c"; body = ""; whole = 0; next }
        /^```$/ && inside {
            inside = 0
            if (!whole)
                body = "void snippet(struct scope *s);\nvoid snippet(struct scope *s)\n{\n" \
                       "cache_t *cache = s->cache; cache_writer *out = s->out; const cache_request *request = s->request;\n" \
                       "sqlite3 *db = s->db; struct user *user = s->user; const char *text = s->text; int id = s->id;\n" \
                       "const cache_backend_config *config = s->config; (void)config;\n" \
                       "(void)cache; (void)out; (void)request; (void)db; (void)user; (void)text; (void)id;\n" body "}\n"
            printf "%s", body > file
            close(file)
        }
        /^```cpp$/ { inside_cpp = 1; file = out "-" NR ".cc"; top = body = ""; next }
        /^```$/ && inside_cpp {
            inside_cpp = 0
            printf "%svoid snippet(libcache::handle &cache, sqlite3 *db);\nvoid snippet(libcache::handle &cache, sqlite3 *db)\n" \
                   "{\n(void)cache, (void)db;\n{\n%s}\n}\n", top, body > file
            close(file)
        }
        inside_cpp && /^(#include|using)/ { top = top $0 "\n"; next }
        inside_cpp { body = body $0 "\n" }
        inside { body = body $0 "\n" }
        inside && /^(static|struct [a-z]+ [{]|CACHE_MEMOIZE|#include|int main)/ { whole = 1 }' "$guide"
done
[ -n "$(find "$work" -name '*.c')" ]

# check SUFFIX COMPILER OPTION…: every such file, some at a time.
check() {
    suffix=$1
    compiler=$2
    shift 2
    find "$work" -name "*.$suffix" -print0 |
        xargs -0 -r -P "$(nproc)" -n 4 "$compiler" -Wall -Wextra -Wpedantic -Werror -Wno-unused-variable \
            -I"$include" "$@" -fsyntax-only
}
for cc in gcc clang; do
    check c $cc -std=c11 -D_POSIX_C_SOURCE=200809L -Wno-unused-function -Wno-unused-const-variable -include "$here/prelude.h"
done
for cc in g++ clang++; do
    check cc $cc -std=c++17 -include "$here/prelude.hpp"
done
