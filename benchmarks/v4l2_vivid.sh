#!/usr/bin/env bash
# A real V4L2 device where no kernel module can be loaded: Debian 12 in an emulated machine (QEMU without KVM, one core,
# 1 GB, no network) with the kernel's `vivid` camera; benchmarks/v4l2_vivid.py runs in it. Ends with its exit code.
#   sudo benchmarks/v4l2_vivid.sh [FOLDER]
# The machine's disk is made once, in 3 to 10 minutes, by Debian's packages and three wheels, in FOLDER
# (/tmp/prednet-vivid; 2 GB), and is used again by later calls; the project is read from here. Needs mmdebstrap,
# e2fsprogs, pip and qemu-system-x86.
set -euo pipefail
project=$(cd "$(dirname "$0")/.." && pwd)
folder=${1:-/tmp/prednet-vivid}
mkdir -p "$folder"
cd "$folder"

make_disk() {
  rm -rf root
  mmdebstrap --mode=root --variant=minbase --aptopt='APT::Install-Recommends "false"' \
    --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
    --include=linux-image-amd64,initramfs-tools,kmod,python3,python3-gi,v4l-utils \
    --include=gir1.2-gst-plugins-base-1.0,gstreamer1.0-plugins-base,gstreamer1.0-plugins-good \
    --essential-hook='mkdir -p "$1/etc/initramfs-tools/conf.d" "$1/usr/share/initramfs-tools/modules.d"' \
    --essential-hook='echo MODULES=list > "$1/etc/initramfs-tools/conf.d/small"' \
    --essential-hook='printf "%s\n" virtio_pci virtio_blk ext4 > "$1/usr/share/initramfs-tools/modules.d/disk.conf"' \
    bookworm root http://deb.debian.org/debian
  python3 -m pip install --quiet --disable-pip-version-check --target root/opt/site --only-binary=:all: \
    --platform manylinux_2_28_x86_64 --python-version 311 'numpy>=1.26,<3' 'av>=16,<20' 'msgspec>=0.19,<1'
  cat > root/watch <<'END'
#!/bin/sh
export PATH=/usr/sbin:/usr/bin:/sbin:/bin PYTHONPATH=/mnt:/opt/site PYTHONDONTWRITEBYTECODE=1 XDG_CACHE_HOME=/run
modprobe 9pnet_virtio
mount -t 9p -o ro,trans=virtio,version=9p2000.L,cache=loose,msize=262144 project /mnt
python3 /mnt/benchmarks/v4l2_vivid.py > /dev/ttyS1 2>&1
echo "exit code $?" > /dev/ttyS1
echo o > /proc/sysrq-trigger
sleep 60
END
  chmod +x root/watch
  cp root/boot/vmlinuz-* vmlinuz
  cp root/boot/initrd.img-* initrd
  mke2fs -q -t ext4 -d root disk.new 1800M
  mv disk.new disk.img
  rm -rf root
}

[ -e disk.img ] || make_disk
echo "commit $(git -C "$project" rev-parse --short HEAD); $(uname -m), $(nproc) cores, load $(cut -d' ' -f1 /proc/loadavg)"
began=$SECONDS
timeout 900 qemu-system-x86_64 -accel tcg -cpu max -m 1024 -smp 1 -nic none -display none -no-reboot \
  -kernel vmlinuz -initrd initrd -append "root=/dev/vda rw console=ttyS0 quiet panic=-1 init=/watch" \
  -drive file=disk.img,if=virtio,format=raw,snapshot=on \
  -virtfs "local,path=$project,mount_tag=project,security_model=none,readonly=on" \
  -serial file:console.log -serial stdio < /dev/null | tee result.log
echo "$((SECONDS - began)) s from boot to result; the guest's console is in $folder/console.log"
code=$(tr -d '\r' < result.log | sed -n 's/^exit code //p')
exit "${code:-1}"
