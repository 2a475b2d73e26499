# What the build needs from elsewhere: how it is found, and what it is called by the system's package manager.

# name in pkg-config (or the file)  Debian, Ubuntu         Fedora               Alpine              Arch
set(libcache_packages
  "pkg-config                       pkg-config             pkgconf-pkg-config   pkgconf             pkgconf"
  "hiredis                          libhiredis-dev         hiredis-devel        hiredis-dev         hiredis"
  "openssl                          libssl-dev             openssl-devel        openssl-dev         openssl"
  "libsodium                        libsodium-dev          libsodium-devel      libsodium-dev       libsodium"
  "libzstd                          libzstd-dev            libzstd-devel        zstd-dev            zstd"
  "liblz4                           liblz4-dev             lz4-devel            lz4-dev             lz4"
  "uthash.h                         uthash-dev             uthash-devel         uthash-dev          uthash"
  "xxhash.h                         libxxhash-dev          xxhash-devel         xxhash-dev          xxhash"
  "sys/sdt.h                        systemtap-sdt-dev      systemtap-sdt-devel  sys/sdt.h           sys/sdt.h"
  "cmocka                           libcmocka-dev          libcmocka-devel      cmocka-dev          cmocka"
  "libcjson                         libcjson-dev           cjson-devel          cjson-dev           cjson"
  "libmicrohttpd                    libmicrohttpd-dev      libmicrohttpd-devel  libmicrohttpd-dev   libmicrohttpd"
  "sqlite3                          libsqlite3-dev         sqlite-devel         sqlite-dev          sqlite"
  "libcrypt                         libcrypt-dev           libxcrypt-devel      libxcrypt-dev       libxcrypt"
  "libcurl                          libcurl4-openssl-dev   libcurl-devel        curl-dev            curl"
  "md4c-html                        libmd4c-html0-dev      md4c-devel           md4c-dev            md4c"
  "chart.min.js                     libjs-chart.js         chart.min.js         chart.min.js        chart.min.js"
  "zlib                             zlib1g-dev             zlib-devel           zlib-dev            zlib"
  "glib-2.0                         libglib2.0-dev         glib2-devel          glib-dev            glib2"
  "libmemcached                     libmemcached-dev       libmemcached-devel   libmemcached-dev    libmemcached")
set(libcache_left_out "")

# libcache_choice(NAME DEFAULT HELP): an option that is ON, OFF or AUTO, unless somebody has set it.
macro(libcache_choice name default help)
  if(NOT DEFINED ${name})
    set(${name} ${default} CACHE STRING "${help}: ON, OFF, or AUTO where what it needs may be missing")
    set_property(CACHE ${name} PROPERTY STRINGS ON OFF AUTO)
  endif()
endmacro()

# libcache_how_to_get(RESULT NAME…): the command that installs them, on this system.
function(libcache_how_to_get result)
  set(column 0)
  foreach(manager apt-get dnf apk pacman)
    math(EXPR column "${column} + 1")
    find_program(LIBCACHE_${manager} ${manager})
    mark_as_advanced(LIBCACHE_${manager})
    if(LIBCACHE_${manager})
      break()
    endif()
  endforeach()
  set(commands "apt-get install" "dnf install" "apk add" "pacman -S")
  math(EXPR which "${column} - 1")
  list(GET commands ${which} text)
  foreach(name ${ARGN})
    set(package ${name})
    foreach(line ${libcache_packages})
      string(REGEX REPLACE " +" ";" words "${line}")
      list(GET words 0 known)
      if(known STREQUAL name)
        list(GET words ${column} package)
      endif()
    endforeach()
    string(APPEND text " ${package}")
  endforeach()
  set(${result} "${text}" PARENT_SCOPE)
endfunction()

# libcache_find(MISSING NAME…): find each NAME. A pkg-config module becomes the target PkgConfig::LIBCACHE_NAME. For a
# header or another file, the variable LIBCACHE_NAME is its directory. MISSING lists the names that were not found.
function(libcache_find result)
  set(missing "")
  foreach(name ${ARGN})
    if(name MATCHES "\\.(h|js)$")
      find_path(LIBCACHE_${name} ${name} PATHS /usr/share/javascript/chart.js /usr/share/nodejs/chart.js/dist)
      mark_as_advanced(LIBCACHE_${name})
      set(found ${LIBCACHE_${name}})
    elseif(NOT PkgConfig_FOUND)
      set(found OFF)
      list(PREPEND missing pkg-config)
    else()
      pkg_check_modules(LIBCACHE_${name} QUIET IMPORTED_TARGET ${name})
      set(found ${LIBCACHE_${name}_FOUND})
    endif()
    if(NOT found)
      list(APPEND missing ${name})
    endif()
  endforeach()
  list(REMOVE_DUPLICATES missing)
  set(${result} "${missing}" PARENT_SCOPE)
endfunction()

# libcache_resolve_option(OPTION WHAT NAME…): if OPTION is AUTO, set it to ON if every NAME is found, else to OFF. If it is
# ON and one is missing, stop.
function(libcache_resolve_option option what)
  if(NOT ${option})
    return()
  endif()
  libcache_find(missing ${ARGN})
  if(missing)
    libcache_how_to_get(command ${missing})
    string(REPLACE ";" ", " names "${missing}")
    if(NOT ${option} STREQUAL AUTO)
      message(FATAL_ERROR "libcache: ${what}: not found: ${names}\n"
        "  to get it:       ${command}\n  to do without:   cmake -D${option}=OFF …")
    endif()
    set(libcache_left_out "${libcache_left_out};${what} (${option}): ${command}" PARENT_SCOPE)
    set(${option} OFF PARENT_SCOPE)
    return()
  endif()
  set(${option} ON PARENT_SCOPE)
endfunction()

function(libcache_say_what_is_missing)
  foreach(line ${libcache_left_out})
    message(STATUS "libcache: left out: ${line}")
  endforeach()
endfunction()
