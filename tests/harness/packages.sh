# shellcheck shell=bash
# The one list of Debian packages; sourced by deploy/quickstart.sh and tests/run.sh.
# shellcheck disable=SC2034 # the lists are used by those that source this

packages_build=(
	clang llvm cmake ninja-build pkg-config gcc g++ bpftool libbpf-dev libelf-dev zlib1g-dev libgrpc-dev
	libprotobuf-c-dev protobuf-c-compiler libjansson-dev libyaml-dev libcap-dev libc-ares-dev libre2-dev libssl-dev
)
# A private containerd and the kubelet of the harness.
packages_run=(containerd runc python3-grpcio python3-protobuf protobuf-compiler protobuf-compiler-grpc)
packages_test=(
	libcmocka-dev jq python3-jsonschema codespell shellcheck cppcheck clang-format clang-tidy
	libclang-rt-dev
)

# install_missing PACKAGE... : asks dpkg first, so that a complete machine needs neither network nor root.
install_missing() {
	local package
	local -a missing=()
	for package in "$@"; do
		# Its state and not the exit status: dpkg also knows removed packages whose configuration is left.
		[[ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" == installed* ]] || missing+=("$package")
	done
	[ ${#missing[@]} -eq 0 ] && return 0
	if [ "$(id -u)" -ne 0 ]; then
		echo "packages: missing ${missing[*]}: only root can install them: run as root, or apt-get install them" >&2
		return 1
	fi
	echo "packages: installing ${missing[*]}" >&2
	export DEBIAN_FRONTEND=noninteractive
	if ! { apt-get update -q && apt-get install -q -y --no-install-recommends "${missing[@]}"; } >&2; then
		echo "packages: apt-get could not install ${missing[*]} (its own message is above): check the package sources" >&2
		return 1
	fi
}
