# Sourced by the other scripts: finds what a step needs and installs what is missing, saying so.

say() { printf 'culvert: %s\n' "$*" >&2; }
fail() {
  say "$*"
  exit 1
}

need_node() {
  command -v node >/dev/null || fail "Node.js is missing: install Node.js 20.19 or newer (nodejs.org)"
  node -e 'const [a,b]=process.versions.node.split(".").map(Number);process.exit(a>20||(a===20&&b>=19)?0:1)' ||
    fail "Node.js $(node -v) is too old: 20.19 or newer is needed"
  command -v npm >/dev/null || fail "npm is missing: it comes with Node.js"
}

# need_npm: node_modules as package-lock.json has it. Not "npm ci": it refuses a lock file in which the optional binaries of
# other platforms are not listed, as happens where the registry serves one platform only.
need_npm() {
  need_node
  if ! cmp -s package-lock.json node_modules/.culvert-lock; then
    say "installing the npm packages of package-lock.json"
    npm install --no-save --no-audit --no-fund --loglevel=error >&2
    cp package-lock.json node_modules/.culvert-lock
  fi
}

# need_apt PROGRAM PACKAGE: PROGRAM, from the Debian package PACKAGE.
need_apt() {
  command -v "$1" >/dev/null && return 0
  if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    fail "$1 is missing and cannot be installed from here: install the package $2"
  fi
  say "installing the Debian package $2 (for $1)"
  if [ -z "${CULVERT_APT_UPDATED:-}" ]; then
    apt-get update -qq >/dev/null || fail "apt-get update failed: install the package $2 by hand"
    export CULVERT_APT_UPDATED=1
  fi
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$2" >/dev/null ||
    fail "apt-get could not install $2: install it by hand"
}

# A rustup proxy without a toolchain answers to its name only, so ask for a version.
has_cargo() { cargo --version >/dev/null 2>&1; }
need_cargo() { has_cargo || fail "a working cargo is missing: install Rust 1.85 or newer (rustup, or the packages cargo and rustc)"; }

rustc_host() { rustc -vV | sed -n 's/^host: //p'; }
# missing_for_sanitizers: what building with a sanitizer lacks, in a few words. Nothing when all is there.
missing_for_sanitizers() {
  if ! has_cargo; then
    echo "a working cargo is missing (Rust 1.85 or newer, from rustup)"
  elif [ "$(uname -s)" != Linux ]; then
    echo "the native data plane runs on Linux only"
  elif ! command -v c++ >/dev/null; then
    echo "a C++ compiler is missing (for libFuzzer)"
  elif ! compgen -G "$(rustc --print target-libdir)/librustc-*_rt.asan.a" >/dev/null; then
    echo "this Rust comes without sanitizers (rustup's does for x86-64 and AArch64 Linux)"
  fi
}
