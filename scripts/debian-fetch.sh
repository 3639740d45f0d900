#!/bin/sh
# Downloads Debian packages of any suite without touching the system's own apt: nothing is installed, no suite is mixed.
#
#   scripts/debian-fetch.sh SUITE DIRECTORY PACKAGE[=VERSION]            a binary package's .deb
#   scripts/debian-fetch.sh --source SUITE DIRECTORY PACKAGE[=VERSION]   a source package's files
#
# From the machine's own Debian mirror, through apt with a configuration, lists and cache of its own; apt verifies
# everything under Debian's archive key. Ends with 69 when the download fails.
set -eu

kind=deb
if [ "${1:-}" = --source ]; then
  kind=deb-src
  shift
fi
[ $# -eq 3 ] || { echo "usage: debian-fetch.sh [--source] SUITE DIRECTORY PACKAGE[=VERSION]" >&2; exit 64; }
suite=$1 directory=$2 package=$3

fail() {
  echo "debian-fetch: $*" >&2
  exit 69
}

for tool in apt-get apt-config; do
  command -v "$tool" >/dev/null || fail "no $tool here: $package comes from Debian"
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
[ -n "$mirror" ] || fail "no Debian mirror in the machine's apt sources"
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
[ -r "$keyring" ] || fail "no $keyring: install debian-archive-keyring"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
chmod 755 "$work"
mkdir -p "$work/state/lists/partial" "$work/cache/archives/partial" "$work/etc/parts" "$work/files" "$directory"
echo "$kind [signed-by=$keyring] $mirror $suite main" >"$work/etc/sources.list"
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
echo "debian-fetch: $package from $suite at $mirror" >&2
apt-get -qq update >&2 || fail "apt could not read $suite at $mirror"
cd "$work/files"
if [ "$kind" = deb ]; then
  apt-get -qq download "$package" >&2 || fail "$mirror does not serve $package in $suite"
else
  apt-get -qq source --download-only "$package" >&2 || fail "$mirror does not serve the source of $package in $suite"
fi
cd - >/dev/null
mv -f "$work"/files/* "$directory/"
