#!/bin/sh
# Fills a folder with the wheels of a device: this project's, and all that it needs, pinned and checked by digest.
#
#     packaging/fetch_wheels.sh 3.10 arm64 wheels/3.10-arm64
#
# Needs the package index; build_deb.py then needs no network, and neither does a device. PYTHON names the Python that works
# here (with pip; default python3), not the device's.
set -eu
usage="usage: packaging/fetch_wheels.sh 3.10|3.11|3.12|3.13 arm64|amd64 FOLDER"
[ $# = 3 ] || { echo "$usage" >&2; exit 2; }
tree=$(cd "$(dirname "$0")/.." && pwd)
# The pins of 3.10 have wheels for 3.11 too, those of 3.12 for 3.13.
case $1 in 3.10 | 3.11) pins=3.10 ;; 3.12 | 3.13) pins=3.12 ;; *) echo "$usage" >&2; exit 2 ;; esac
case $2 in arm64) machine=aarch64 ;; amd64) machine=x86_64 ;; *) echo "$usage" >&2; exit 2 ;; esac
mkdir -p "$3"
[ -z "$(ls "$3")" ] || { echo "fetch_wheels.sh: $3 is not empty: old wheels would be mixed with new ones; name another folder" >&2; exit 1; }
tags=$(PYTHONPATH="$tree/packaging" "${PYTHON:-python3}" -B -c "import build_deb; print(*build_deb.PLATFORMS)")
platforms=
for tag in $tags; do platforms="$platforms --platform ${tag}_$machine"; done
# A Jetson's GPU memory: JetPack 6 has Python 3.10 and CUDA 12, JetPack 7 has 3.12 and CUDA 13.
files="$tree/requirements/device-$pins.txt"
[ "$2" = amd64 ] || files="$files $tree/requirements/jetson-$pins.txt"
for file in $files; do
  # shellcheck disable=SC2086 # one word a platform
  "${PYTHON:-python3}" -m pip download --quiet --disable-pip-version-check --no-deps --require-hashes --only-binary=:all: \
    --implementation cp --python-version "$1" $platforms --dest "$3" -r "$file"
done
# The same setuptools writes the same wheel; pip before 25.3 takes the one name, later ones the other.
export PIP_CONSTRAINT="$tree/requirements/build.txt" PIP_BUILD_CONSTRAINT="$tree/requirements/build.txt"
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git -C "$tree" log -1 --format=%ct)}
export SOURCE_DATE_EPOCH
source=$(mktemp -d)
trap 'rm -r "$source"' EXIT
# From a copy: setuptools leaves folders in the tree that it builds.
(cd "$tree" && cp -rL edge calibration export pyproject.toml README.md LICENSE "$source")
"${PYTHON:-python3}" -m pip wheel --quiet --disable-pip-version-check --no-deps --wheel-dir "$3" "$source"
echo "$3: $(ls "$3" | wc -l) wheels"
