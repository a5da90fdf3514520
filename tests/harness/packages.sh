# shellcheck shell=bash
# The one list of Debian packages; sourced by deploy/quickstart.sh and tests/run.sh.

# packages_of GROUP : build (the program), run (a private containerd and the kubelet of the harness), test, bench (peers), vm
# (guests with other kernels: what boots and packs them; what is inside comes from a private apt), vm-arm64 (the same of arm64).
packages_of() {
	case $1 in
	build)
		echo clang llvm cmake ninja-build pkg-config gcc g++ bpftool libbpf-dev libelf-dev zlib1g-dev libgrpc-dev \
			libprotobuf-c-dev protobuf-c-compiler libjansson-dev libyaml-dev libcap-dev libc-ares-dev libre2-dev \
			libssl-dev
		;;
	run)
		echo containerd runc python3-grpcio python3-protobuf protobuf-compiler protobuf-compiler-grpc python3-jsonschema jq
		;;
	test)
		echo libcmocka-dev codespell shellcheck cppcheck clang-format clang-tidy libclang-rt-dev crun
		;;
	bench)
		echo valgrind bpftrace libbpf-tools
		;;
	vm)
		echo qemu-system-x86 cpio kmod xz-utils zstd e2fsprogs binutils debian-archive-keyring jq python3-jsonschema
		;;
	vm-arm64)
		echo qemu-system-arm gcc-aarch64-linux-gnu g++-aarch64-linux-gnu
		;;
	esac
}

# install_missing GROUP... : asks dpkg first, so that a complete machine needs neither network nor root.
install_missing() {
	local group package
	local -a missing=()
	for group in "$@"; do
		for package in $(packages_of "$group"); do
			# Its state and not the exit status: dpkg also knows removed packages whose configuration is left.
			[[ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" == installed* ]] ||
				missing+=("$package")
		done
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
