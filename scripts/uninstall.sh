#!/bin/bash
# Removes what `make install` put below $DESTDIR$PREFIX, by the list that it left there, and nothing else.
#
# The list is not trusted: a line counts only when it is a plain path below the prefix, of a name that this project
# installs, reached through no symbolic link. A file that was changed since stays, and is named. Settings, queue, keys and
# logs stay; with PURGE=1 the host's own go too: /etc/ephemeral, /var/lib/ephemeral, /var/log/ephemeral. What users keep
# in their homes (~/.config/ephemeral: keys without which results never open again) is theirs, and no target touches it.
#
#   uninstall.sh                    PREFIX, DESTDIR, PURGE from the environment
#   uninstall.sh --files ROOT LIST  only the files of a list (for an upgrade)
set -euo pipefail
fail() { echo "uninstall: $1" >&2; exit "${2:-1}"; }
names='^(bin/(ephemeral|enclave-worker|devcloud)|lib/ephemeral/[a-z-]+|lib/systemd/(system|user)/ephemeral[a-z@.-]*|lib/(sysusers|tmpfiles)\.d/ephemeral\.conf|share/(doc/ephemeral/[A-Za-z0-9._/-]+|ephemeral/[a-z.-]+|man/man[1-9]/(ephemeral|devcloud)[a-z.-]*\.[1-9]|bash-completion/completions/(ephemeral|devcloud)|zsh/site-functions/_(ephemeral|devcloud)|fish/vendor_completions\.d/(ephemeral|devcloud)\.fish))$'

refused=0 removed=0
refuse() { echo "uninstall: the list has ${1@Q}, $2; left alone" >&2; refused=$((refused + 1)); }

# $1: root, $2: list
remove_files() {
  local root=$1 digest path real
  while IFS= read -r line || [ -n "$line" ]; do
    if ! [[ $line =~ ^([0-9a-f]{64})\ \ (.+)$ ]]; then refuse "${line:0:120}" "which is no line of a list"; continue; fi
    digest=${BASH_REMATCH[1]} path=${BASH_REMATCH[2]}
    if ! [[ $path =~ $names ]] || [[ /$path/ == */../* || /$path/ == */./* || $path == *//* ]]; then
      refuse "${path:0:120}" "which is nothing that this project installs"
      continue
    fi
    [ -e "$root/$path" ] || [ -L "$root/$path" ] || continue
    real=$(realpath "$(dirname "$root/$path")")
    if [ "$real" != "$root/$(dirname "$path")" ] || [ -L "$root/$path" ] || [ ! -f "$root/$path" ]; then
      refuse "$path" "where a symbolic link or no file stands"
    elif [ "$(sha256sum <"$root/$path" | cut -c1-64)" != "$digest" ]; then
      echo "kept    $root/$path (changed since it was installed)"
    else
      rm -f -- "$root/$path"
      removed=$((removed + 1))
      prune "$root" "$(dirname "$path")"
    fi
  done <"$2"
}

# Folders that are empty now, upwards, and never the prefix itself.
prune() {
  local directory=$2
  while [ "$directory" != . ] && rmdir -- "$1/$directory" 2>/dev/null; do directory=$(dirname "$directory"); done
}

if [ "${1:-}" = --files ]; then
  remove_files "$(realpath "$2")" "$3"
  exit 0
fi

prefix=${PREFIX:-/usr/local} destination=${DESTDIR:-}
[[ $prefix == /* && /$prefix/ != */../* ]] || fail "PREFIX is an absolute path without .., not $prefix" 64
[ -z "$destination" ] || [[ $destination == /* ]] || fail "DESTDIR is an absolute path, not $destination" 64
case ${PURGE:-0} in 0 | 1) ;; *) fail "PURGE is 1 or 0" 64 ;; esac
root=$(realpath -m "$destination$prefix")
root=${root%/}
manifest=$root/share/ephemeral/install.manifest

# A unit whose program goes away under it would restart for ever.
if [ -z "$destination" ] && command -v systemctl >/dev/null; then
  for unit in ephemeral-daemon ephemeral-enclave; do
    ! systemctl --quiet is-active "$unit" 2>/dev/null || fail "$unit runs; systemctl disable --now $unit first"
  done
fi
if [ -f "$manifest" ] && [ ! -L "$manifest" ]; then
  [ "$(realpath "$manifest")" = "$manifest" ] || fail "$manifest lies behind a symbolic link"
  [ "$(stat -c %s "$manifest")" -le 1048576 ] || fail "$manifest is too long for a list"
  remove_files "$root" "$manifest"
  if [ "$refused" -eq 0 ]; then
    rm -f -- "$manifest"
    prune "$root" share/ephemeral
  else
    echo "uninstall: $manifest stays, for somebody to look at" >&2
  fi
  echo "removed $removed files below $root"
elif [ "${PURGE:-0}" != 1 ]; then
  fail "there is no $manifest: nothing was installed there by this" 10
fi

base=$(realpath -m "${destination:-/}")
base=${base%/}
for folder in /etc/ephemeral /var/lib/ephemeral /var/log/ephemeral; do
  path=$destination$folder
  [ -e "$path" ] || [ -L "$path" ] || continue
  if [ "${PURGE:-0}" != 1 ]; then
    echo "kept    $path"
  elif [ -L "$path" ] || [ "$(realpath "$path")" != "$base$folder" ]; then
    echo "uninstall: $path is, or lies behind, a symbolic link; left alone" >&2
    refused=$((refused + 1))
  else
    rm -rf --one-file-system -- "$path"
    echo "purged  $path"
  fi
done
[ "$refused" -eq 0 ] || exit 1
