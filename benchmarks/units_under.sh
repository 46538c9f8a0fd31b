#!/bin/sh
# The units under other releases of systemd than this machine's: what each takes without a word on stderr.
#
#     sudo benchmarks/units_under.sh [bullseye trixie]
#
# Fetches Debian's systemd of each release into a folder of its own (mmdebstrap, 10 s a release) and lets its systemd-analyze
# verify the units there. JetPack 6 has 249; bullseye's 247 is older, trixie's 257 knows RestartSteps, which 247 warns of.
set -eu
tree=$(cd "$(dirname "$0")/.." && pwd)
root=
# Whatever happens, nothing of it stays mounted or on the disk.
clear() {
  [ -n "$root" ] || return 0
  ! mountpoint -q "$root/proc" || umount "$root/proc"
  ! mountpoint -q "$root/sys" || umount -l "$root/sys"
  rm -r --one-file-system "$root"
  root=
}
trap 'exit 1' TERM INT
trap clear EXIT
echo "commit $(git -C "$tree" rev-parse --short HEAD); $(uname -m)"
for release in ${*:-bullseye trixie}; do
  root=$(mktemp -d)
  mmdebstrap --quiet --mode=root --variant=extract --include=systemd,coreutils,procps "$release" "$root" http://deb.debian.org/debian
  mkdir -p "$root/proc" "$root/sys" "$root/run" "$root/tmp" "$root/units" "$root/opt/prednet-edge/bin"
  for folder in bin sbin lib lib64; do [ -e "$root/$folder" ] || ln -s "usr/$folder" "$root/$folder"; done
  for program in opt/prednet-edge/bin/prednet-edge bin/kill bin/systemctl; do
    [ -x "$root/$program" ] || install -m 755 /bin/true "$root/$program"
  done
  cp "$tree"/systemd/*.service "$root/units/"
  mount -t proc proc "$root/proc"
  mount --rbind /sys "$root/sys"
  mount --make-rslave "$root/sys"
  chroot "$root" systemd-analyze --version | head -1
  told=$(chroot "$root" systemd-analyze verify /units/prednet-edge.service /units/prednet-edge-engine.service 2>&1) || true
  echo "$release: ${told:-not a word}"
  sed -i 's/^RestartSec=.*/&\nRestartSteps=5/' "$root/units/prednet-edge.service"
  echo "$release, with RestartSteps: $(chroot "$root" systemd-analyze verify /units/prednet-edge.service 2>&1 | sed 's/\x1b\[[0-9;]*m//g')"
  clear
done
