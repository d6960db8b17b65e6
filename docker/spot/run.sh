#!/bin/bash
# A slice of a run on a machine that may be taken away at any moment; start it whenever the machine starts:
#   SYNCLR_ROOT=s3://bucket/shards run.sh 3/8 --until images
# It goes on with what is sealed, ends when that is all, and stops in order at SIGTERM, which clouds send some time before.
set -u
: "${SYNCLR_ROOT:?name the folder or s3://... that all machines share}"
slice=$1
shift
stopped= work=
trap 'stopped=1; [ -z "$work" ] || kill -TERM "$work" 2>/dev/null' TERM INT
while [ -z "$stopped" ]; do
  synclr run "${SYNCLR_RECIPE:-tiny}" --slice "$slice" "$@" &
  work=$!
  [ -z "$stopped" ] || kill -TERM "$work" # it came between these two lines
  wait "$work"
  code=$?
  # A signal ends `wait` before the work has ended.
  while kill -0 "$work" 2>/dev/null; do
    wait "$work"
    code=$?
  done
  case $code in
    0 | 2) exit "$code" ;; # done, or asked for what cannot be: that stays so
  esac
  if [ -z "$stopped" ]; then
    sleep "${SYNCLR_PAUSE:-30}" &
    wait $!
  fi
done
exit 143
