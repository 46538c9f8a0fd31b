#!/bin/sh
# The package and the flash script on an arm64 root file system, under emulation: dpkg, doctor and the demo's replay run there.
#
#     sudo benchmarks/arm64.sh dist/prednet-edge_0.1.0+py311_arm64.deb [ROOT]
#
# Makes a Debian 12 for arm64 (Python 3.11) with its own maintainer scripts, unless ROOT is one already, and lays package, bundle,
# configuration and first boot into it by packaging/flash.py; then the first boot, doctor and replay by the image's own programs.
# The emulator is trixie's qemu 10, known to the kernel in this script's own user namespace alone. Needs root, mmdebstrap,
# mosquitto and the package archive; a quarter of an hour, most of it for the root.
set -eu
tree=$(cd "$(dirname "$0")/.." && pwd)
say() { echo "$(($(date +%s) - began)) s: $*"; }
in_root() { chroot "$root" env PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 ORT_DISABLE_TELEMETRY=1 "$@"; }

if [ "${1:-}" != --inside ]; then
  package=$(realpath "$1")
  work=$(mktemp -d)
  root=$(realpath -m "${2:-$work/root}")
  trap 'rm -r --one-file-system "$work"' EXIT
  echo "commit $(git -C "$tree" rev-parse --short HEAD); $(uname -m), $(nproc) cores, load $(cut -d' ' -f1 /proc/loadavg)"
  mmdebstrap --quiet --mode=root --variant=extract --include=qemu-user trixie "$work/qemu" http://deb.debian.org/debian
  # A user namespace has formats of programs of its own; all ids are themselves in it.
  mkfifo "$work/go"
  unshare --user --uts --mount --pid --fork --kill-child sh -c 'read -r go <"$1/go"; exec "$0" --inside "$@"' "$0" "$work" "$package" "$root" &
  outer=$!
  inner=
  while [ -z "$inner" ]; do inner=$(cat /proc/$outer/task/$outer/children); done
  inner=${inner%% *}
  echo 0 0 65536 >"/proc/$inner/uid_map"
  echo 0 0 65536 >"/proc/$inner/gid_map"
  echo go >"$work/go"
  wait $outer
  exit
fi

work=$2 package=$3 root=$4 began=$(date +%s)
mount --make-rprivate /
mount -t proc proc /proc
mkdir "$work/formats"
mount -t binfmt_misc none "$work/formats"
magic='\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00'
mask='\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff'
printf '%s' ":arm64:M::$magic:$mask:$work/qemu/usr/bin/qemu-aarch64:F" >"$work/formats/register"
if [ ! -e "$root/var/lib/dpkg/status" ]; then
  mmdebstrap --quiet --mode=root --arch=arm64 --variant=minbase --skip=check/qemu,chroot/mount/sys \
    --include=python3,systemd,libstdc++6 bookworm "$root" http://deb.debian.org/debian
fi
say "the root: $(in_root uname -m), $(in_root dpkg --print-architecture), $(in_root python3 --version), $("$work/qemu/usr/bin/qemu-aarch64" --version | head -1)"

cp "$tree/edge/data/demo.prednet" "$work/press.prednet"
cat >"$work/config.yaml" <<CONFIG
site: plant7
bundle: press.prednet
cameras:
  press3:
    source: test://factory?seed=21&seconds=30
    loop: true
mqtt:
  host: 127.0.0.1
  port: 18831
CONFIG
python3 "$tree/packaging/flash.py" --root "$root" --package "$package" --bundle "$work/press.prednet" --config "$work/config.yaml"
say "flashed: $(in_root dpkg-query -W -f '${Package} ${Version} ${Architecture}: ${Status}' prednet-edge)"
in_root id prednet-edge
echo "changed files of the package: $(in_root dpkg -V prednet-edge | wc -l)"

mount -t proc proc "$root/proc"
mount --rbind /sys "$root/sys"
printf '1424921012345\0' >"$root/var/tmp/serial"
in_root /opt/prednet-edge/bin/python3 -m edge.first_boot --serial-number-file /var/tmp/serial
in_root /opt/prednet-edge/bin/python3 -m edge.first_boot --serial-number-file /var/tmp/serial
say "first boot: $(cat "$root/etc/hostname"), $(tr '\n' ' ' <"$root/etc/prednet-edge/identity")"

mount --rbind /dev "$root/dev"
in_root prednet-edge replay "test://factory?seed=21&accidents=fire&first=4&spacing=60&seconds=8" \
  --bundle /etc/prednet-edge/press.prednet --chart /root/factory.png || say "replay ended with $?"
say "replay ran"
mosquitto -p 18831 >/dev/null 2>&1 &
broker=$!
in_root prednet-edge doctor --config /etc/prednet-edge/config.yaml || say "doctor ended with $?"
kill $broker
say "doctor ran"
