#!/usr/bin/env bash
# Reads every entry of a zip with Info-ZIP and prints its listing; see ../README.md.
#
# `info-zip.sh ARCHIVE.zip`. Exit code 0 only if `unzip -t` tests every entry and neither it nor `zipinfo` has anything
# to remark: Info-ZIP repairs much by itself, and says so with a warning or with the exit code 1.
set -euo pipefail
[ $# -eq 1 ] || { echo "usage: info-zip.sh ARCHIVE.zip" >&2; exit 1; }
archive=$1
complain() { printf '%s: %s\n' "$archive" "$1" >&2; exit 1; }

# -qq leaves the remarks and a summary. No archive has entries "skipped" unless a method or an encryption is unknown.
export LC_ALL=C.UTF-8
test_result=$(unzip -tqq -- "$archive" 2>&1 </dev/null) || complain "unzip -t: $test_result"
[ -z "$test_result" ] || complain "unzip -t: $test_result"
remarks=$(mktemp)
trap 'rm -f "$remarks"' EXIT
zipinfo -l -T -- "$archive" 2>"$remarks" </dev/null || complain "zipinfo: $(cat "$remarks")"
[ ! -s "$remarks" ] || complain "zipinfo: $(cat "$remarks")"
