# An overlay port: `vcpkg install libcache --overlay-ports=packaging/vcpkg`. It builds the tree that it stands in.
get_filename_component(SOURCE_PATH "${CMAKE_CURRENT_LIST_DIR}/../.." ABSOLUTE)
vcpkg_check_features(OUT_FEATURE_OPTIONS options FEATURES
  redis LIBCACHE_REDIS
  tls LIBCACHE_TLS
  compression LIBCACHE_LZ4
  compression LIBCACHE_ZSTD
  seal LIBCACHE_SEAL)
vcpkg_find_acquire_program(PKGCONFIG)
vcpkg_cmake_configure(SOURCE_PATH "${SOURCE_PATH}" OPTIONS ${options}
  "-DPKG_CONFIG_EXECUTABLE=${PKGCONFIG}" -DLIBCACHE_TOOL=OFF -DLIBCACHE_PROBES=OFF
  -DLIBCACHE_EXAMPLES=OFF -DLIBCACHE_BLOG=OFF -DLIBCACHE_TESTS=OFF -DLIBCACHE_BENCH=OFF)
vcpkg_cmake_install()
vcpkg_cmake_config_fixup(CONFIG_PATH lib/cmake/libcache)
vcpkg_fixup_pkgconfig()
file(REMOVE_RECURSE "${CURRENT_PACKAGES_DIR}/debug/include" "${CURRENT_PACKAGES_DIR}/debug/share")
vcpkg_install_copyright(FILE_LIST "${SOURCE_PATH}/LICENSE")
