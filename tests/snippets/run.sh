#!/bin/sh
# The programs in a guide do what stands there: each ```c block with an `int main` is compiled and run, and the ```text
# block that follows it is what it prints.
#   run.sh INCLUDE_DIR LIBRARY 'LINKER OPTIONS' FILE.md…
set -eu
include=$1
library=$2
options=$3
shift 3
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
awk -v out="$work/" '
    /^```c$/ { kind = "c"; body = ""; next }
    /^```text$/ { kind = "txt"; body = ""; next }
    /^```$/ && kind != "" {
        if (kind == "c" && body ~ /int main/)
            n++
        if ((kind == "c" && body ~ /int main/) || (kind == "txt" && n > shown)) {
            file = out sprintf("%02d.%s", n, kind)
            printf "%s", body > file
            close(file)
            if (kind == "txt")
                shown = n
        }
        kind = ""
        next
    }
    kind != "" { body = body $0 "\n" }' "$@"
n=0
for program in "$work"/*.c; do
    name=${program%.c}
    [ -f "$name.txt" ] || { echo "$(basename "$program"): nothing says what it prints" >&2; exit 1; }
    # shellcheck disable=SC2086
    ${CC:-cc} -std=c11 -D_POSIX_C_SOURCE=200809L -Wall -Wextra -Wpedantic -Werror -I"$include" "$program" -o "$name" \
        "$library" $options
    mkdir "$name.dir"
    if ! CACHE_TYPE=FileSystemCache CACHE_DIR="$name.dir/cache" "$name" >"$name.out"; then
        echo "$(basename "$program") failed:" >&2
        cat "$program" "$name.out" >&2
        exit 1
    fi
    diff -u "$name.txt" "$name.out" >&2
    n=$((n + 1))
done
[ "$n" -gt 0 ]
echo "$n programs"
