# The build that ships: node-gyp, prebuildify and every source install go through this file.
# CMakeLists.txt is its twin for developers; a flag that changes code belongs in both.
{
  "variables": {
    # How to link liburing ("" = build without the io_uring backend); overridable: -Dliburing_flag=
    "liburing_flag%": "<!(node scripts/find-liburing.js)",
    # Set by scripts/setup.mjs where CI is set. Not CI itself: CI is set in our users' CI too, and a
    # new compiler's new warning must not break their install.
    "werror%": "<!(node -p \"process.env.RINGBOLT_WERROR ? 1 : 0\")",
  },
  "targets": [
    {
      "target_name": "ringbolt",
      "sources": [
        "<!@(node -p \"require('fs').readFileSync('native/sources.txt','utf8').split(/\\s+/).filter(Boolean).join(' ')\")",
      ],
      # node-addon-api is a dependency, not a dev dependency: a source install compiles against it.
      "include_dirs": [
        "native",
        "<!(node -p \"require('node-addon-api').include_dir\")",
      ],
      "defines": [
        "NAPI_VERSION=9",
        "NODE_ADDON_API_DISABLE_CPP_EXCEPTIONS",
        # While a worker is being terminated no exception can be thrown. Without this, node-addon-api
        # aborts the whole process then.
        "NODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS",
      ],
      "cflags": [
        "-fvisibility=hidden",
        "-Wall",
        "-Wextra",
      ],
      # gyp's default is gnu++17, which would come after ours and win.
      "cflags_cc!": ["-std=gnu++17", "-std=gnu++20"],
      "cflags_cc": [
        "-std=c++20",
        "-fno-exceptions",
        "-fno-rtti",
        "-fvisibility-inlines-hidden",
      ],
      # Optimisation is Node's own for Release: -O3 -fno-omit-frame-pointer.
      "ldflags": [
        # Never unmap the addon: when a worker exits, an engine thread that a device has not
        # answered is orphaned, and goes on running code from this file.
        "-Wl,-z,nodelete",
        # Keep the linked-in liburing to ourselves: exported, its symbols could be bound to those of
        # another addon's liburing.
        "-Wl,--exclude-libs,ALL",
        # Bind every symbol when the addon is loaded: one that is missing fails there, by name, and
        # not in the middle of an I/O.
        "-Wl,-z,now",
        # No -static-libstdc++ or -static-libgcc: Node itself needs both shared libraries, and the
        # static libstdc++ raises the glibc floor.
      ],
      "conditions": [
        ["liburing_flag != ''", {
          "defines": ["RINGBOLT_HAVE_LIBURING=1"],
          "libraries": ["<(liburing_flag)"],
        }, {
          "defines": ["RINGBOLT_HAVE_LIBURING=0"],
        }],
        ["werror == 1", {
          # In cflags_cc because Node's common.gypi strips -Werror from cflags.
          "cflags_cc": ["-Werror"],
        }],
        # Flags for one file alone (an instruction set) need a target of their own in gyp: add a
        # static_library here, list it in "dependencies" above, keep its files out of sources.txt.
      ],
    },
  ],
}
