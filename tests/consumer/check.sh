#!/bin/sh
# Outside programs that use libcache, each way that docs/install.md shows.
#   check.sh BUILD WAY…     BUILD is a build directory of libcache, from which it is installed into a temporary place
set -eu
build=$(cd "$1" && pwd)
shift
here=$(cd "$(dirname "$0")" && pwd)
source=$(cd "$here/../.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
log=$work/log
unset CMAKE_GENERATOR DESTDIR

quietly() {
    "$@" >"$log" 2>&1 || {
        cat "$log" >&2
        echo "consumer: $way: failed: $*" >&2
        exit 1
    }
}

quietly_install() {
    quietly cmake --install "$build" --prefix "$work/prefix"    # not where it was configured for
    pc=$(find "$work/prefix" -name libcache.pc)
    PKG_CONFIG_PATH=$(dirname "$pc")
    LD_LIBRARY_PATH=$(dirname "$PKG_CONFIG_PATH")
    export PKG_CONFIG_PATH LD_LIBRARY_PATH
}

# with_cmake NAME OPTION…: build the project of cmake/ and run its program.
with_cmake() {
    name=$1
    shift
    quietly cmake -S "$here/cmake" -B "$work/$name" -DCMAKE_PREFIX_PATH="$work/prefix" "$@"
    quietly cmake --build "$work/$name" --parallel 2
    quietly "$work/$name/program"
}

# What is built as a part of the program is built without servers, and fast: a build type of nobody's has no options.
lean='-DLIBCACHE_REDIS=OFF -DLIBCACHE_MEMCACHED=OFF -DLIBCACHE_TLS=OFF -DCMAKE_BUILD_TYPE=None -DCMAKE_C_FLAGS=-O0'

has() {
    [ -n "$(find "$work/prefix" -name "$1")" ]
}

way=install
quietly_install
for way in "$@"; do
    case $way in
    package)
        with_cmake package -DWAY=package -DCOMPONENT=
        ! has libcache.a || with_cmake static -DWAY=package -DCOMPONENT=static
        ! has libcache.so || with_cmake shared -DWAY=package -DCOMPONENT=shared
        ;;
    subdirectory | fetch)
        # shellcheck disable=SC2086
        with_cmake "$way" -DWAY="$way" -DSOURCE="$source" $lean
        quietly cmake --install "$work/$way" --prefix "$work/$way-prefix"
        [ "$(find "$work/$way-prefix" -type f)" = "$work/$way-prefix/bin/program" ] || {
            echo "consumer: $way: installs more than its program: $(find "$work/$way-prefix" -type f)" >&2
            exit 1
        }
        ;;
    make)
        cp "$here/Makefile" "$here/program.c" "$work/"
        quietly make -C "$work" -B program
        quietly "$work/program"
        if has libcache.so && has libcache.a; then
            quietly make -C "$work" -B program STATIC=1
            quietly env LD_LIBRARY_PATH= "$work/program"
        fi
        ;;
    names)
        for links in "$(pkg-config --libs libcache)" "$(pkg-config --static --libs libcache | sed 's/-lcache/-l:libcache.a/')"; do
            # shellcheck disable=SC2046,SC2086
            case $links in
            *libcache.a*) has libcache.a || continue ;;
            esac
            for names in ALL GHOSTS_ALONE; do
                quietly gcc -std=c11 -D$names "$here/clash.c" -o "$work/program" $(pkg-config --cflags libcache) $links
                quietly "$work/program"
            done
        done
        ;;
    languages)
        # shellcheck disable=SC2046
        for standard in c11 c17 c++11 c++14 c++17 c++20; do
            case $standard in c++*) cc='g++ -x c++' ;; *) cc=gcc ;; esac
            quietly $cc -std=$standard -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Werror "$here/program.c" -x none \
                -o "$work/program" $(pkg-config --cflags --libs libcache)
            quietly "$work/program"
        done
        ;;
    meson | meson-cmake)
        mkdir -p "$work/$way/subprojects"
        cp "$here/meson/"* "$here/program.c" "$work/$way/"
        ln -s "$source" "$work/$way/subprojects/libcache"
        flag=false
        [ $way = meson ] || flag=true
        quietly env PKG_CONFIG_PATH= meson setup "$work/$way/build" "$work/$way" -Dcmake=$flag --force-fallback-for=libcache \
            -Dbuildtype=plain
        quietly meson test -C "$work/$way/build"
        ;;
    *)
        echo "consumer: unknown way '$way'" >&2
        exit 2
        ;;
    esac
    echo "consumer: $way"
done
