#!/bin/sh
# fires.sh PROGRAM: each probe of the library fires in probed.c, with the arguments that docs/statistics.md lists. gdb
# stops at the probes as bpftrace does, but needs no rights that a user does not have.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# probe NAME KEY LINE…: print the probe's name, the key whose argument is number KEY ("-": none), and what the lines of
# gdb's language print.
probe() {
    printf 'break -probe-stap libcache:%s\ncommands\nsilent\nprintf "probe %s"\n' "$1" "$1"
    if [ "$2" != - ]; then
        printf 'printf " "\noutput *(char *)$_probe_arg%d@(int)$_probe_arg%d\n' "$2" "$(($2 + 1))"
    fi
    shift 2
    printf '%s\n' "$@" 'printf "\n"' continue end
}
# shellcheck disable=SC2016
{
    # In main the library is loaded, if it is a shared one.
    printf '%s\n' 'set debuginfod enabled off' 'tbreak main' run 'set $open = 0'
    probe hit 0
    probe miss 0
    probe evict 0
    probe set 0 'printf " %d", (int)$_probe_arg2 > 0'
    probe compute 0 'printf " %d %d", (int)$_probe_arg2, $_probe_arg3 > 0'
    probe wait__begin 1 'set $flight = $_probe_arg0' 'set {int}&somebody_waits = 1'
    probe wait__end 1 'printf " %d", $_probe_arg0 == $flight'
    probe request__begin - 'printf " %.9s %d", (char *)$_probe_arg1, (int)$_probe_arg2 > 0' \
        'set $open = $open + $_probe_arg0'
    probe request__end - 'printf " %.9s %d", (char *)$_probe_arg1, (int)$_probe_arg2' 'set $open = $open - $_probe_arg0'
    printf '%s\n' continue 'printf "probe requests without an end: %d\n", $open'
} >"$work/script"
timeout 60 gdb -nx -batch -x "$work/script" --args "$1" >"$work/all" 2>&1 || :
sed -n 's/^probe //p' "$work/all" | LC_ALL=C sort -u >"$work/fired"
# The number after a set says that the value has a size; that at the end of a computation, that it took time. -6 is
# CACHE_ERR_TIMEOUT.
cat >"$work/wanted" <<'END'
compute "slow" 0 1
evict "first"
evict "second"
hit "first"
miss "absent"
miss "slow"
request__begin memcached 1
request__end memcached -6
requests without an end: 0
set "first" 1
set "second" 1
set "slow" 1
wait__begin "slow"
wait__end "slow" 1
END
diff -u "$work/wanted" "$work/fired" || {
    cat "$work/all"
    exit 1
} >&2
