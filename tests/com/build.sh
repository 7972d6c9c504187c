#!/bin/sh
# Builds the native COM test programs for 64-bit Windows into a directory:
#   client.exe             plays the sync manager
#   native_handler.dll     a small legacy handler
#   collection.exe         lists a collection of handlers
#   version.exe            prints the version of a file
#   bcryptprimitives.dll   what Rust programs need under Wine 8.0
# Needs Debian's gcc-mingw-w64-x86-64 and mingw-w64-tools (for widl).
set -eu

if [ $# -ne 1 ]; then
    echo "usage: build.sh OUTDIR" >&2
    exit 2
fi
mkdir -p "$1"
out=$(cd "$1" && pwd)
cd "$(dirname "$0")"

target=x86_64-w64-mingw32
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# The declarations are mingw's mobsync.h, so widl's own header is not needed.
"$target-widl" -I. -Oif -p -H mobsync.h -o "$work/callback_p.c" callback.idl

flags="-std=c11 -O1 -g -Wall -Wextra -Werror -DCOBJMACROS -DCONST_VTABLE -D__USE_MINGW_ANSI_STDIO=1 -D_WIN32_WINNT=0x0601"
link="-static-libgcc -lole32 -luuid -ladvapi32 -luser32"

compile() {
    # The flags are meant to be split into words.
    # shellcheck disable=SC2086
    "$target-gcc" $flags "$@"
}

# widl leaves out the method table that COM fills in, and gcc remarks on it.
compile -Wno-missing-field-initializers -include client/proxy_declarations.h \
    -c "$work/callback_p.c" -o "$work/callback_p.o"
compile -c guids.c -o "$work/guids.o"
"$target-windres" -I client client/client.rc -o "$work/client_rc.o"

# shellcheck disable=SC2086
compile -municode client/*.c "$work/callback_p.o" "$work/guids.o" "$work/client_rc.o" \
    -o "$out/client.exe" $link -lrpcrt4 -lntdll
# shellcheck disable=SC2086
compile -shared handler/*.c handler/handler.def "$work/guids.o" \
    -o "$out/native_handler.dll" $link
# shellcheck disable=SC2086
compile -municode collection/collection.c "$work/guids.o" -o "$out/collection.exe" $link
# shellcheck disable=SC2086
compile -municode version/version.c -o "$out/version.exe" $link -lversion
# shellcheck disable=SC2086
compile -shared bcryptprimitives.c -o "$out/bcryptprimitives.dll" $link
