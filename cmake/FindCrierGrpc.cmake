# Target crier_grpc: gRPC's C core, statically and without TLS where its archives are installed, else shared.
#
# Debian's own `pkg-config --static --libs grpc_unsecure` is no complete link line (c-ares and zlib are missing, the
# order of the Abseil archives is wrong), and its Requires.private names the secure library and OpenSSL. So: each
# archive by its path, all in one group, and as many of Abseil's as pkg-config knows. Static and unsecure because it
# is measurably smaller: 7 MB resident and 3 ms to a first call, against 13 MB and 10 ms with the shared library.
#
# The archives hold C++: targets that link this need LINKER_LANGUAGE CXX.
find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)
pkg_check_modules(CRIER_GRPC_PC REQUIRED grpc_unsecure)

find_path(CRIER_GRPC_INCLUDE grpc/grpc.h HINTS ${CRIER_GRPC_PC_INCLUDE_DIRS} REQUIRED)
option(CRIER_GRPC_STATIC "link gRPC statically when its archives are found" ON)

set(crier_grpc_names grpc_unsecure gpr address_sorting upb cares re2 z)
foreach(flag ${CRIER_GRPC_PC_STATIC_LDFLAGS})
	if(flag MATCHES "^-l(absl_.*)$")
		list(APPEND crier_grpc_names ${CMAKE_MATCH_1})
	endif()
endforeach()
list(REMOVE_DUPLICATES crier_grpc_names)

set(crier_grpc_archives)
set(crier_grpc_missing)
foreach(name ${crier_grpc_names})
	find_library(CRIER_GRPC_LIB_${name} NAMES lib${name}.a HINTS ${CRIER_GRPC_PC_LIBRARY_DIRS})
	mark_as_advanced(CRIER_GRPC_LIB_${name})
	if(CRIER_GRPC_LIB_${name})
		list(APPEND crier_grpc_archives ${CRIER_GRPC_LIB_${name}})
	elseif(NOT name STREQUAL "re2") # a dependency of the secure library in some builds only
		list(APPEND crier_grpc_missing lib${name}.a)
	endif()
endforeach()

add_library(crier_grpc INTERFACE)
target_include_directories(crier_grpc SYSTEM INTERFACE ${CRIER_GRPC_INCLUDE})
if(CRIER_GRPC_STATIC AND NOT crier_grpc_missing)
	message(STATUS "gRPC ${CRIER_GRPC_PC_VERSION}: static, without TLS")
	# libatomic only for the machines where gRPC's 64-bit atomics are calls; as-needed drops it elsewhere.
	# --wrap: src/cri/library.c bounds the processors gRPC sees, and with them its threads.
	target_link_options(crier_grpc INTERFACE -Wl,--wrap=gpr_cpu_num_cores -Wl,--wrap=gpr_cpu_current_cpu)
	# What gRPC uses of the C++ library is a small part of it: as shared it costs 1.4 MB resident. Sanitizers want to
	# see the shared one's exceptions.
	if(NOT CRIER_SANITIZE)
		target_link_options(crier_grpc INTERFACE -static-libstdc++ -static-libgcc -Wl,--gc-sections)
	endif()
	target_compile_definitions(crier_grpc INTERFACE CRIER_GRPC_STATIC=1)
	target_link_libraries(crier_grpc INTERFACE
		-Wl,--start-group ${crier_grpc_archives} -Wl,--end-group
		Threads::Threads ${CMAKE_DL_LIBS} rt m -Wl,--push-state,--as-needed atomic -Wl,--pop-state)
	else()
	string(REPLACE ";" " " crier_grpc_missing "${crier_grpc_missing}")
	message(STATUS "gRPC ${CRIER_GRPC_PC_VERSION}: shared (archives not found: ${crier_grpc_missing})")
	find_library(CRIER_GRPC_SHARED grpc_unsecure HINTS ${CRIER_GRPC_PC_LIBRARY_DIRS} REQUIRED)
	find_library(CRIER_GPR_SHARED gpr HINTS ${CRIER_GRPC_PC_LIBRARY_DIRS} REQUIRED)
	target_compile_definitions(crier_grpc INTERFACE CRIER_GRPC_STATIC=0)
	target_link_libraries(crier_grpc INTERFACE ${CRIER_GRPC_SHARED} ${CRIER_GPR_SHARED} Threads::Threads)
endif()
set(CrierGrpc_FOUND TRUE)
