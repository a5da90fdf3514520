# Toolchain: arm64 from another architecture. CRIER_SYSROOT names a folder with Debian's arm64 -dev packages unpacked
# (tests/vm/host/cross.py makes one without root and without touching the host's dpkg).
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_C_COMPILER aarch64-linux-gnu-gcc)
set(CMAKE_CXX_COMPILER aarch64-linux-gnu-g++)
set(CMAKE_LIBRARY_ARCHITECTURE aarch64-linux-gnu)

list(APPEND CMAKE_TRY_COMPILE_PLATFORM_VARIABLES CRIER_SYSROOT)
if(NOT CRIER_SYSROOT)
	message(FATAL_ERROR "name the folder of arm64's libraries with -DCRIER_SYSROOT=FOLDER")
endif()
set(CMAKE_SYSROOT ${CRIER_SYSROOT})
set(CMAKE_FIND_ROOT_PATH ${CRIER_SYSROOT})
# Tools (clang, bpftool, protoc-c) are the host's, what is linked is the sysroot's.
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE ONLY)
set(ENV{PKG_CONFIG_SYSROOT_DIR} ${CRIER_SYSROOT})
set(ENV{PKG_CONFIG_LIBDIR} ${CRIER_SYSROOT}/usr/lib/aarch64-linux-gnu/pkgconfig:${CRIER_SYSROOT}/usr/share/pkgconfig)
