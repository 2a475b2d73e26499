"""Conan 2: `conan create packaging/conan` builds the tree that this file stands in."""
import os
import re

from conan import ConanFile
from conan.tools.cmake import CMake, CMakeDeps, CMakeToolchain, cmake_layout
from conan.tools.files import copy, load
from conan.tools.gnu import PkgConfigDeps


class LibcacheConan(ConanFile):
    name = "libcache"
    license = "MIT"
    description = "Caching for web applications in C: functions and pages, in memory, files, Redis or Memcached"
    package_type = "library"
    settings = "os", "compiler", "build_type", "arch"
    options = {"shared": [True, False], "redis": [True, False], "tls": [True, False], "compression": [True, False],
               "seal": [True, False]}
    default_options = {"shared": False, "redis": True, "tls": False, "compression": False, "seal": False}

    @property
    def _tree(self):
        return os.path.join(self.recipe_folder, "..", "..")

    def set_version(self):
        header = load(self, os.path.join(self._tree, "include", "libcache", "version.h"))
        self.version = re.search(r'CACHE_VERSION +"([0-9.]+)"', header).group(1)

    def export_sources(self):
        for pattern in ("CMakeLists.txt", "cmake/*", "include/*", "src/*", "docs/*", "scripts/reference.awk",
                        "LICENSE", "*.md"):
            copy(self, pattern, self._tree, self.export_sources_folder)

    def configure(self):
        self.settings.rm_safe("compiler.cppstd")
        self.settings.rm_safe("compiler.libcxx")

    def requirements(self):
        self.requires("uthash/2.3.0", visible=False)
        self.requires("xxhash/0.8.2", visible=False)
        if self.options.redis:
            self.requires("hiredis/1.2.0")
        if self.options.tls:
            self.requires("openssl/[>=3 <4]")
        if self.options.compression:
            self.requires("lz4/1.9.4")
            self.requires("zstd/1.5.5")
        if self.options.seal:
            self.requires("libsodium/1.0.18")

    def layout(self):
        cmake_layout(self)

    def generate(self):
        PkgConfigDeps(self).generate()
        CMakeDeps(self).generate()
        toolchain = CMakeToolchain(self)
        parts = {"redis": ["REDIS"], "tls": ["TLS"], "compression": ["LZ4", "ZSTD"], "seal": ["SEAL"]}
        for option, names in parts.items():
            for name in names:
                toolchain.cache_variables[f"LIBCACHE_{name}"] = bool(self.options.get_safe(option))
        for part in ("TOOL", "PROBES", "EXAMPLES", "BLOG", "TESTS", "BENCH"):
            toolchain.cache_variables[f"LIBCACHE_{part}"] = False
        toolchain.generate()

    def build(self):
        cmake = CMake(self)
        cmake.configure()
        cmake.build()

    def package(self):
        CMake(self).install()
        copy(self, "LICENSE", self.source_folder, os.path.join(self.package_folder, "licenses"))

    def package_info(self):
        self.cpp_info.libs = ["cache"]
        self.cpp_info.system_libs = ["m", "pthread"]
        self.cpp_info.set_property("cmake_file_name", "libcache")
        self.cpp_info.set_property("cmake_target_name", "libcache::libcache")
        self.cpp_info.set_property("pkg_config_name", "libcache")
