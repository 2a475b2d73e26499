#!/bin/sh
# check.sh LIBRARY: each probe of docs/statistics.md is in the library, with as many arguments as that page says, and
# the library has no other one.
set -eu
notes=$(readelf -n "$1" 2>/dev/null)
found=$(printf '%s\n' "$notes" | awk '
    /Provider:/ { ours = $2 == "libcache" }
    /Name:/ { name = $2 }
    /Arguments:/ && ours { print name, NF - 1 }' | sort -u)
wanted='compute 4
evict 2
hit 2
miss 2
request__begin 3
request__end 3
set 3
wait__begin 3
wait__end 3'
[ "$found" = "$wanted" ] || {
    printf 'probes: %s has\n%s\nand not\n%s\n' "$1" "$found" "$wanted" >&2
    exit 1
}
page=$(sed -n '/^## Probes/,/^## /p' "$(dirname "$0")/../../docs/statistics.md")
for name in $(printf '%s\n' "$wanted" | cut -d' ' -f1); do
    printf '%s\n' "$page" | grep -q "^| .*\`$name\`.*|" || {
        echo "probes: docs/statistics.md does not name $name" >&2
        exit 1
    }
done
