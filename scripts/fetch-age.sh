#!/bin/sh
# Provides the stock `age` (1.3 or newer, the first with post-quantum recipients) for the interoperability tests.
#
#   scripts/fetch-age.sh         prints the directory that holds age and age-keygen; installs nothing system-wide
#
# An age >= 1.3 on PATH is taken as it is. Otherwise Debian sid's package is fetched from the machine's own Debian
# mirror, through apt with a configuration, lists and cache of its own, so that no other suite ever enters the system's
# apt; apt verifies it under Debian's archive key. It is unpacked into .cache/age, never installed: one static program.
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
cache=$root/.cache/age

# True for `age` in the directory $1 at version 1.3 or later.
is_recent() {
  [ -x "$1/age" ] && [ -x "$1/age-keygen" ] || return 1
  version=$("$1/age" --version 2>/dev/null | sed -n 's/^(*v*\([0-9][0-9]*\.[0-9][0-9]*\).*/\1/p')
  [ -n "$version" ] || return 1
  major=${version%%.*} minor=${version#*.}
  [ "$major" -gt 1 ] || { [ "$major" -eq 1 ] && [ "$minor" -ge 3 ]; }
}

fail() {
  echo "fetch-age: $*" >&2
  exit 1
}

if is_recent "$cache"; then
  echo "$cache"
  exit 0
fi
if on_path=$(command -v age 2>/dev/null) && is_recent "$(dirname "$on_path")"; then
  mkdir -p "$cache"
  for program in age age-keygen; do ln -sf "$(dirname "$on_path")/$program" "$cache/$program"; done
  echo "$cache"
  exit 0
fi

for tool in apt-get dpkg-deb; do
  command -v "$tool" >/dev/null || fail "no age >= 1.3 on PATH, and no $tool here to fetch Debian's: install age yourself"
done

# The mirror that this machine uses for Debian itself: the first source (either syntax) whose path ends in /debian.
mirror=$(
  apt-get indextargets --format '$(SITE) $(REPO_URI)' 2>/dev/null | awk '{ sub("/$", "", $2); print $2 }' |
    grep -E '/debian$' | head -n 1
) || true
if [ -z "$mirror" ]; then
  mirror=$(
    cat /etc/apt/sources.list /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources 2>/dev/null |
      grep -v '^[[:space:]]*#' | grep -oE '(https?|mirror|file)[^[:space:]]*/debian/?([[:space:]]|$)' | head -n 1 |
      sed 's:[[:space:]]*$::; s:/$::'
  ) || true
fi
[ -n "$mirror" ] || fail "no Debian mirror in the machine's apt sources: install age >= 1.3 yourself"
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
[ -r "$keyring" ] || fail "no $keyring: install debian-archive-keyring, or age >= 1.3 yourself"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
chmod 755 "$work"
mkdir -p "$work/state/lists/partial" "$work/cache/archives/partial" "$work/etc/parts"
echo "deb [signed-by=$keyring] $mirror sid main" >"$work/etc/sources.list"
: >"$work/state/status"
# Of the machine's settings only those for the network (proxies, retries) are taken: hooks and directories are the
# system's own business. Check-Valid-Until: a frozen mirror's release file has expired; its signature still tells who
# made it.
apt-config dump | grep -E '^Acquire::(https?|Retries|ForceIPv[46])(::| )' >"$work/etc/apt.conf" || true
cat >>"$work/etc/apt.conf" <<CONF
Dir::State "$work/state";
Dir::State::status "$work/state/status";
Dir::Cache "$work/cache";
Dir::Etc::sourcelist "$work/etc/sources.list";
Dir::Etc::sourceparts "$work/etc/parts";
Dir::Etc::parts "$work/etc/parts";
Dir::Etc::main "/dev/null";
Dir::Etc::preferencesparts "$work/etc/parts";
Dir::Etc::preferences "/dev/null";
Acquire::Check-Valid-Until "false";
Acquire::Languages "none";
APT::Sandbox::User "";
CONF
export APT_CONFIG="$work/etc/apt.conf"
echo "fetch-age: fetching age from sid at $mirror" >&2
apt-get -qq update >&2 || fail "apt could not read sid at $mirror"
(cd "$work" && apt-get -qq download age >&2) || fail "apt could not download age from $mirror"
dpkg-deb -x "$work"/age_*.deb "$work/tree"
is_recent "$work/tree/usr/bin" || fail "sid's age is not 1.3 or newer, or does not run here"

mkdir -p "$cache"
for program in age age-keygen; do
  cp "$work/tree/usr/bin/$program" "$cache/.$program.$$"
  mv -f "$cache/.$program.$$" "$cache/$program"
done
echo "$cache"
