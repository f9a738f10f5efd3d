# The build that ships: node-gyp, prebuildify and every source install go through this file.
# CMakeLists.txt is its twin for developers; a flag that changes code belongs in both.
{
  "variables": {
    # How to link liburing ("" = build without the io_uring backend); overridable: -Dliburing_flag=
    "liburing_flag%": "<!(node scripts/find-liburing.js)",
    # Whether the xxHash header is there (0 = build without XXH3); overridable: -Dhave_xxhash=
    "have_xxhash%": "<!(node scripts/find-xxhash.js)",
    # Set by scripts/setup.mjs where CI is set. Not CI itself: CI is set in our users' CI too, and a
    # new compiler's new warning must not break their install.
    "werror%": "<!(node -p \"process.env.RINGBOLT_WERROR ? 1 : 0\")",
  },
  "target_defaults": {
    "include_dirs": ["native"],
    "defines": ["RINGBOLT_HAVE_XXHASH=<(have_xxhash)"],
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
    "conditions": [
      ["werror == 1", {
        # In cflags_cc because Node's common.gypi strips -Werror from cflags.
        "cflags_cc": ["-Werror"],
      }],
    ],
  },
  "targets": [
    {
      "target_name": "ringbolt",
      "sources": [
        "<!@(node -p \"require('fs').readFileSync('native/sources.txt','utf8').split(/\\s+/).filter(Boolean).join(' ')\")",
      ],
      # node-addon-api is a dependency, not a dev dependency: a source install compiles against it.
      "include_dirs": [
        "<!(node -p \"require('node-addon-api').include_dir\")",
      ],
      "defines": [
        "NAPI_VERSION=9",
        "NODE_ADDON_API_DISABLE_CPP_EXCEPTIONS",
        # While a worker is being terminated no exception can be thrown. Without this, node-addon-api
        # aborts the whole process then.
        "NODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS",
      ],
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
        ["target_arch == 'x64'", {
          "dependencies": ["ringbolt_sse42", "ringbolt_avx2", "ringbolt_avx512"],
        }],
        ["target_arch == 'arm64'", {
          "dependencies": ["ringbolt_armv8"],
        }],
      ],
    },
  ],
  # Flags for one file alone need a target of its own in gyp. One static library for each instruction
  # set, from a source list of its own, so that no other file is compiled for it.
  "conditions": [
    ["target_arch == 'x64'", {
      "targets": [
        {
          "target_name": "ringbolt_sse42",
          "type": "static_library",
          "sources": [
            "<!@(node -p \"require('fs').readFileSync('native/sources-sse42.txt','utf8').split(/\\s+/).filter(Boolean).join(' ')\")",
          ],
          "cflags_cc": ["-msse4.2", "-mpclmul"],
        },
        {
          "target_name": "ringbolt_avx2",
          "type": "static_library",
          "sources": [
            "<!@(node -p \"require('fs').readFileSync('native/sources-avx2.txt','utf8').split(/\\s+/).filter(Boolean).join(' ')\")",
          ],
          "cflags_cc": ["-mavx2"],
        },
        {
          "target_name": "ringbolt_avx512",
          "type": "static_library",
          "sources": [
            "<!@(node -p \"require('fs').readFileSync('native/sources-avx512.txt','utf8').split(/\\s+/).filter(Boolean).join(' ')\")",
          ],
          "cflags_cc": ["-msse4.2", "-mpclmul", "-mavx512f", "-mavx512bw", "-mavx512vl", "-mavx512vbmi", "-mvpclmulqdq"],
        },
      ],
    }],
    ["target_arch == 'arm64'", {
      "targets": [
        {
          "target_name": "ringbolt_armv8",
          "type": "static_library",
          "sources": [
            "<!@(node -p \"require('fs').readFileSync('native/sources-armv8.txt','utf8').split(/\\s+/).filter(Boolean).join(' ')\")",
          ],
          "cflags_cc": ["-march=armv8-a+crc+crypto"],
        },
      ],
    }],
  ],
}
