#!/bin/sh
# The models hold, and each of the changes that must break them does.   check.sh DIRECTORY, which is made
set -eu
models=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$1"
cd "$1"

# run NAME DEFINE…: 0 if no assertion fails
run() {
    name=$1
    shift
    spin -a "$@" "$models/$name.pml" >/dev/null
    ${CC:-cc} -O1 -w -DSAFETY -DCOLLAPSE -DMEMLIM=1500 -o pan pan.c
    ./pan -m1000000 -n >log
    ! grep -q 'max search depth too small\|memory limit' log || { cat log; echo "$name $*: not searched whole"; exit 1; }
    grep -q 'errors: 0' log
}

run flight || { cat log; echo "flight: the property does not hold"; exit 1; }
for broken in NO_WAIT NO_MARK SHARE_READ; do
    ! run flight -D$broken || { echo "flight: holds with $broken, so the model proves nothing"; exit 1; }
done

run front || { cat log; echo "front: the property does not hold"; exit 1; }
for broken in NO_TICKET NO_EPOCH NO_WAIT CLEAR_FIRST LATE_TICKET; do
    ! run front -D$broken || { echo "front: holds with $broken, so the model proves nothing"; exit 1; }
done
