#!/bin/bash
# Puts built programs and what belongs to them below $DESTDIR$PREFIX, and writes down what it put there.
#
#   BIN         the folder of the built programs
#   PREFIX      where they will be used, absolute (default /usr/local)
#   DESTDIR     where that tree is put together; nothing outside of it is touched, and no root is needed
#   COMPONENTS  client: the program, manual, completions, timers of a user. host (default): and units of the daemon.
#               all: and devcloud, enclave-worker for development on one machine
#
# Again with the same: the same files. With another version: what only the older one had goes away. A file of the same
# name that is not in the list of an earlier installation stays, and is an error.
set -euo pipefail
cd "$(dirname "$0")/.."
: "${BIN:?the folder of the built programs}"
prefix=${PREFIX:-/usr/local} components=${COMPONENTS:-host}
fail() { echo "install: $1" >&2; exit "${2:-1}"; }

case $components in client | host | all) ;; *) fail "COMPONENTS is client, host or all, not $components" 64 ;; esac
# The path goes into units and scripts, which quote each in their own way: only letters that need none.
[[ $prefix =~ ^/[A-Za-z0-9._+@/-]*$ && /$prefix/ != */../* ]] ||
  fail "PREFIX is an absolute path of plain letters, without .., not $prefix" 64
prefix=$(realpath -ms "$prefix")
[ -z "${DESTDIR:-}" ] || [[ $DESTDIR == /* ]] || fail "DESTDIR is an absolute path, not $DESTDIR" 64
root=${DESTDIR:-}$prefix
root=${root%/}
manifest=share/ephemeral/install.manifest
umask 022
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
stage=$work/stage
mkdir "$stage"

programs=(ephemeral)
[ "$components" != all ] || programs+=(enclave-worker devcloud)
for program in "${programs[@]}"; do
  [ -x "$BIN/$program" ] || fail "there is no $BIN/$program; build it first: make build-install COMPONENTS=$components"
done

# Everything is made in a folder of its own first, so that a fault half-way leaves the target as it was.
put() { install -D -m "$1" "$2" "$stage/$3"; }
filled() { # $1: mode, $2: template, $3: place; its paths become those of this installation
  mkdir -p "$(dirname "$stage/$3")"
  sed -E "s#/opt/ephemeral/bin/(run-enclave|ephemeral-metrics)#$prefix/lib/ephemeral/\1#g; s#/opt/ephemeral/bin/#$prefix/bin/#g" \
    "$2" >"$stage/$3"
  chmod "$1" "$stage/$3"
}

for program in "${programs[@]}"; do
  put 0755 "$BIN/$program" "bin/$program"
  # Debug information is half of the file; the symbols stay, for the names in a crash's trace.
  ! command -v strip >/dev/null || strip --strip-debug "$stage/bin/$program"
done
manuals=(ephemeral)
[ "$components" != all ] || manuals+=(devcloud)
for program in "${manuals[@]}"; do
  scripts/manual.py "$BIN/$program" "$stage/share/man/man1"
  completion() { "$BIN/$program" --generate-completion-script "$1" >"$work/completion" && put 0644 "$work/completion" "$2"; }
  completion bash "share/bash-completion/completions/$program"
  completion zsh "share/zsh/site-functions/_$program"
  completion fish "share/fish/vendor_completions.d/$program.fish"
done
for page in README.md CHANGELOG.md LICENSE; do put 0644 $page "share/doc/ephemeral/$page"; done
while IFS= read -r page; do put 0644 "docs/$page" "share/doc/ephemeral/docs/$page"; done < <(cd docs && find . -type f | sort)
for example in jobs/*.yaml; do put 0644 "$example" "share/doc/ephemeral/examples/${example##*/}"; done
awk '/^```yaml/ { inside = 1; next } /^```/ { if (inside) exit } inside' docs/operations/configuration.md >"$work/daemon.yaml"
put 0644 "$work/daemon.yaml" share/doc/ephemeral/examples/daemon.yaml
for unit in infra/systemd/user/*.service infra/systemd/user/*.timer; do
  [ ! -e "$unit" ] || filled 0644 "$unit" "lib/systemd/user/${unit##*/}"
done
for example in infra/systemd/user/*.example; do
  [ ! -e "$example" ] || put 0644 "$example" "share/doc/ephemeral/examples/$(basename "$example" .example)"
done

if [ "$components" != client ]; then
  for board in infra/grafana/* infra/prometheus/*; do
    [ ! -f "$board" ] || put 0644 "$board" "share/doc/ephemeral/examples/${board##*/}"
  done
  for unit in infra/systemd/*.service infra/systemd/*.timer; do filled 0644 "$unit" "lib/systemd/system/${unit##*/}"; done
  put 0644 infra/systemd/ephemeral.sysusers lib/sysusers.d/ephemeral.conf
  put 0644 infra/systemd/ephemeral.tmpfiles lib/tmpfiles.d/ephemeral.conf
  for script in run-enclave ephemeral-metrics; do filled 0755 "infra/systemd/$script" "lib/ephemeral/$script"; done
  for example in infra/systemd/*.example; do put 0644 "$example" "share/doc/ephemeral/examples/$(basename "$example" .example)"; done
fi
if [[ $prefix != /opt/ephemeral ]] && grep -rl '/opt/ephemeral' "$stage/lib" 2>/dev/null; then
  fail "these name /opt/ephemeral, which is not where they are installed"
fi

# The list: SHA-256 and path below the prefix of each file, in order. `make uninstall` removes these and no other.
(cd "$stage" && find . -type f -printf '%P\n' | LC_ALL=C sort | while IFS= read -r path; do
  printf '%s  %s\n' "$(sha256sum <"$path" | cut -c1-64)" "$path"
done) >"$work/new"
touch "$work/old"
[ ! -f "$root/$manifest" ] || cp "$root/$manifest" "$work/old"
awk '{print $2}' "$work/old" >"$work/known"
while read -r _ path; do
  if [ -e "$root/$path" ] && ! grep -qxF -- "$path" "$work/known" && ! cmp -s "$stage/$path" "$root/$path"; then
    fail "$root/$path is there and was not installed by this; move it away"
  fi
done <"$work/new"

# A running program keeps its old file: each file appears whole under its name.
while read -r _ path; do
  directory=$(dirname "$root/$path")
  mkdir -p "$directory" || fail "$directory cannot be made; with DESTDIR no root is needed" 1
  if cmp -s "$stage/$path" "$root/$path" && [ "$(stat -c %a "$stage/$path")" = "$(stat -c %a "$root/$path")" ]; then continue; fi
  cp -p "$stage/$path" "$directory/.ephemeral-install.$$"
  mv -f "$directory/.ephemeral-install.$$" "$root/$path"
done <"$work/new"
# What only the older version had, by the same rules as an uninstall.
awk 'NR == FNR { kept[$2]; next } !($2 in kept)' "$work/new" "$work/old" >"$work/obsolete"
[ ! -s "$work/obsolete" ] || scripts/uninstall.sh --files "$root" "$work/obsolete"
install -D -m 0644 "$work/new" "$root/$manifest"

echo "installed $(wc -l <"$work/new") files ($components) in $root"
[ -z "${DESTDIR:-}" ] || exit 0
if [ "$components" != client ]; then
  echo "host: systemd-sysusers && systemd-tmpfiles --create && systemctl daemon-reload, then settings in /etc/ephemeral"
  echo "      (share/doc/ephemeral/examples), then systemctl enable --now ephemeral-daemon; docs/operations/install.md"
fi
case :$PATH: in *:"$prefix/bin":*) ;; *) echo "note: $prefix/bin is not in PATH" ;; esac
missing=$(ldd "$root/bin/ephemeral" 2>/dev/null | awk '/not found/ {print $1}' | tr '\n' ' ')
[ -z "$missing" ] || echo "missing libraries: $missing; on Debian: apt-get install libcurl4 libsodium23 libsqlite3-0 zlib1g ca-certificates"
