#!/bin/sh
# Compile each program here. If its first line has "expect: SENTENCE", it must not compile, and the first error must
# contain the sentence. Else it must compile without a warning.  check.sh INCLUDE_DIR
set -eu
cd "$(dirname "$0")"
failed=0
for cc in gcc clang; do
    for program in *.c *.cpp; do
        compile="$cc -std=c11"
        case $program in
        *.cpp)
            command -v g++ >/dev/null || continue
            compile="$cc -x c++ -std=c++17 $(sed -n '2s|/\* options: \(.*\) \*/|\1|p' "$program")"
            ;;
        esac
        expected=$(sed -n '1s|/\* expect: \(.*\) \*/|\1|p' "$program")
        if output=$($compile -Wall -Wextra -Wpedantic -Werror -I"$1" -fsyntax-only "$program" 2>&1); then
            compiled=yes
        else
            compiled=no
        fi
        if [ -z "$expected" ] && [ $compiled = no ]; then
            echo "$cc: $program does not compile: $output"
            failed=1
        elif [ -n "$expected" ] && [ $compiled = yes ]; then
            echo "$cc: $program compiles"
            failed=1
        elif [ -n "$expected" ] && ! printf '%s' "$output" | grep -m 1 'error' | grep -qF "$expected"; then
            echo "$cc: $program does not say '$expected': $output"
            failed=1
        fi
    done
done
exit $failed
