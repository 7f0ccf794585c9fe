#!/bin/sh
# Picks the executable of inguest for this machine, verifies it, and has it install itself.
#
#   sh install.sh [--from DIRECTORY|URL] [OPTION...]
#
# The source has SHA256SUMS and the files that it lists: by default $INGUEST_FROM, else the directory of this script.
# OPTIONs are those of `inguest install`: --dry-run, --replace, --init=NAME, --no-start.
set -eu

fail() {
  echo "install.sh: $*" >&2
  exit 1
}

has() {
  command -v "$1" >/dev/null 2>&1
}

from=${INGUEST_FROM-}
case ${1-} in
  --from=*)
    from=${1#--from=}
    shift
    ;;
  --from)
    [ $# -ge 2 ] || fail "--from needs a directory or an address"
    from=$2
    shift 2
    ;;
esac
if [ -z "$from" ]; then
  case $0 in
    */*) from=${0%/*} ;;
    *) from=. ;;
  esac
  [ -f "$from/SHA256SUMS" ] || fail "where from? --from DIRECTORY or --from https://..."
fi
from=${from%/}

[ "$(uname -s)" = Linux ] || fail "this is for Linux, not $(uname -s)"

case $(uname -m) in
  x86_64 | amd64) machine=x64 loader=/lib64/ld-linux-x86-64.so.2 ;;
  aarch64 | arm64) machine=arm64 loader=/lib/ld-linux-aarch64.so.1 ;;
  *) fail "there is no executable for $(uname -m), only for x86_64 and aarch64" ;;
esac


if [ "$machine" = x64 ] && [ -r "/proc/cpuinfo" ] && ! grep -qw sse4_2 "/proc/cpuinfo"; then
  fail "this CPU has no SSE4.2, which inguest needs: give the VM another CPU model (host, or x86-64-v2)"
fi

musl=
for path in /lib/ld-musl-*.so.1; do
  [ -e "$path" ] && musl=$path
done
if [ -e "$loader" ]; then
  name=inguest-linux-$machine
elif [ -n "$musl" ]; then
  name=inguest-linux-$machine-musl
  library=libstdc++.so.6
  [ -e "/usr/lib/$library" ] || [ -e "/lib/$library" ] ||
    fail "$library is missing, which inguest needs: apk add libstdc++"
else
  fail "neither glibc nor musl is here, which inguest needs ($loader, /lib/ld-musl-*.so.1)"
fi

folder=$(mktemp -d "${TMPDIR:-/tmp}/inguest.XXXXXX")
trap 'rm -rf "$folder"' EXIT
trap 'exit 1' HUP INT TERM

fetch() {
  case $from in
    http://* | https://*)
      if has curl; then
        curl -fsSL -o "$folder/$1" "$from/$1"
      elif has wget; then
        wget -q -O "$folder/$1" "$from/$1"
      else
        fail "neither curl nor wget is here"
      fi || fail "could not fetch $from/$1"
      ;;
    *) ln -s "$(cd "$from" && pwd)/$1" "$folder/$1" && [ -r "$folder/$1" ] || fail "there is no $from/$1" ;;
  esac
}

# The line of a file in SHA256SUMS.
sum_of() {
  sed -n "s/^\([0-9a-f]\{64\}\) [ *]$1\$/\1/p" "$folder/SHA256SUMS"
}

digest() {
  if has sha256sum; then
    sha256sum "$1"
  elif has openssl; then
    openssl dgst -sha256 -r "$1"
  else
    fail "neither sha256sum nor openssl is here, so nothing can be verified"
  fi | sed 's/[^0-9a-f].*//'
}

fetch SHA256SUMS
if [ -n "$(sum_of "$name.tar.xz")" ] && has xz && has tar; then
  file=$name.tar.xz
elif [ -n "$(sum_of "$name.tar.xz")" ] && [ -z "$(sum_of "$name")" ]; then
  fail "xz or tar is missing, which $name.tar.xz needs: on Debian, apt-get install xz-utils tar"
else
  file=$name
fi
wanted=$(sum_of "$file")
[ -n "$wanted" ] || fail "$from/SHA256SUMS does not list $file"
fetch "$file"
[ "$(digest "$folder/$file")" = "$wanted" ] || fail "$file is damaged: its SHA-256 is not the one in SHA256SUMS"

case $file in
  *.tar.xz)
    xz -dc "$folder/$file" | tar -xf - -C "$folder"
    program=$folder/$name/inguest
    ;;
  *)
    # A copy, since the source may be mounted so that nothing in it can be run.
    cp "$folder/$file" "$folder/inguest"
    program=$folder/inguest
    ;;
esac
chmod 755 "$program"
"$program" --version >/dev/null || fail "$file does not run here"
"$program" install "$@"
