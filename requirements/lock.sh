#!/bin/sh
# Makes the pinned requirements of a device and its bill of materials anew. Needs the network; run it before a release:
#
#     PYTHON=python3.12 sh requirements/lock.sh
#
# device-3.10.txt (JetPack 6) and device-3.12.txt (JetPack 7, and what newer systems have) hold every package that a device
# installs, at one version, with the digests of its wheels for arm64 and amd64 alike. The bill of materials is made from what
# the second file installs. jetson-3.10.txt and jetson-3.12.txt hold what the Debian package for arm64 has beside it: cuda-bindings
# for the CUDA of JetPack 6 and 7. build.txt names the setuptools that makes the package's own wheel; it is kept by hand.
set -eu
cd "$(dirname "$0")/.."
made=$(mktemp -d)
trap 'rm -rf "$made"' EXIT
"${PYTHON:-python3.12}" -m venv "$made/tools"
"${PYTHON:-python3.12}" -m venv --without-pip "$made/device"
"$made/tools/bin/pip" install --quiet --disable-pip-version-check uv cyclonedx-bom

pinned() { # python-version, machine, file
  "$made/tools/bin/uv" pip compile pyproject.toml --quiet --generate-hashes --only-binary :all: --upgrade \
    --python-version "$1" --python-platform "$2-manylinux_2_28" --no-header --no-annotate --output-file "$3"
}

for version in 3.10 3.12; do
  file=requirements/device-$version.txt
  pinned $version aarch64 "$file"
  pinned $version x86_64 "$made/amd64.txt"
  cmp "$file" "$made/amd64.txt" || { echo "$file: arm64 and amd64 want other packages; give each a file" >&2; exit 1; }
done
jetson() { # python-version, the bindings' version
  echo "cuda-bindings==$2" | "$made/tools/bin/uv" pip compile - --quiet --generate-hashes --only-binary :all: --upgrade \
    --python-version "$1" --python-platform aarch64-manylinux_2_28 --no-header --no-annotate --output-file "requirements/jetson-$1.txt"
}
jetson 3.10 '12.*'
jetson 3.12 '13.0.*'
"$made/tools/bin/pip" --python "$made/device/bin/python" install --quiet --disable-pip-version-check \
  --require-hashes --only-binary :all: -r requirements/device-3.12.txt
"$made/tools/bin/cyclonedx-py" environment "$made/device" --pyproject pyproject.toml --output-reproducible \
  --output-format JSON --output-file requirements/device.cdx.json
echo "made: $(grep -c == requirements/device-3.10.txt) packages for Python 3.10, $(grep -c == requirements/device-3.12.txt) for 3.12"
