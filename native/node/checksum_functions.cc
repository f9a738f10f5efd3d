// A call for 64 bytes computes for two nanoseconds and spends forty on the way through N-API. So
// everything that can stays out of it:
//
// - Seeds and results do not travel as JavaScript values, each of which costs a call of its own (a
//   BigInt the most). They lie in a block of two words, which JavaScript has as a Uint32Array and
//   as a BigUint64Array: it puts the seed into the first, calls, and finds the result there. One
//   block for each environment, so nothing else runs between a call and the reading of its result.
// - The data is the one argument. What it is, is asked here and not in JavaScript, so that nothing
//   that somebody put on an object in place of its length is believed.
// - Whoever hashed something returns nothing, which is free. `true` says that there was nothing to
//   hash: no view of a buffer, or one without bytes; lib/checksum/ finds out which.
//
// The bytes are only computed with, never looked at to decide something: that another thread writes
// to a SharedArrayBuffer meanwhile spoils the result, nothing else.
//
// The block is native memory, held by its ArrayBuffer and by the environment: should somebody
// transfer the buffer elsewhere, the functions still have theirs. Where the runtime has no external
// ArrayBuffers, it is V8's memory, and looked up for each call.

#include "node/checksum_functions.h"

#include <cstdlib>
#include <cstring>
#include <iterator>
#include <memory>
#include <string>
#include <utility>

#include "checksum/checksum.h"
#include "checksum/dispatch.h"
#include "checksum/xxh3_kernel.h"
#include "node/convert.h"
#include "node/external_buffer.h"

namespace ringbolt {

namespace {

// Both architectures are little-endian: a CRC-32C is the first half of the word.
struct Block {
  uint64_t value;   // seed before a call, result after it; the first CRC of a combination
  uint64_t second;  // the second one
};

// What each function is given. One for each environment.
struct BlockHome {
  std::shared_ptr<Block> block;  // which its ArrayBuffer holds too; or null,
  napi_ref buffer = nullptr;     // and the ArrayBuffer is all there is
};

// Null if somebody has transferred the buffer elsewhere.
Block* LookUpBlock(napi_env env, const BlockHome& home) {
  napi_value buffer = nullptr;
  void* data = nullptr;
  size_t bytes = 0;
  if (napi_get_reference_value(env, home.buffer, &buffer) != napi_ok ||
      napi_get_arraybuffer_info(env, buffer, &data, &bytes) != napi_ok || bytes != sizeof(Block)) {
    return nullptr;
  }
  return static_cast<Block*>(data);
}

Block* BlockOf(napi_env env, void* data) {
  const auto* home = static_cast<const BlockHome*>(data);
  if (home->block != nullptr) [[likely]]
    return home->block.get();
  return LookUpBlock(env, *home);
}

napi_value NothingHashed(napi_env env) {
  napi_value result = nullptr;
  napi_get_boolean(env, true, &result);
  return result;
}

// --- The data ---

struct Bytes {
  void* data;
  size_t size;
};

// By napi_typedarray_type.
constexpr size_t kElementBytes[] = {1, 1, 1, 2, 2, 4, 4, 4, 8, 8, 8};

// False if it is no view, or has no bytes: none at all, or none left because its buffer was
// detached, or became too small for it.
bool ReadBytes(napi_env env, napi_value value, Bytes* bytes) {
  // An array of a type newer than this N-API leaves it as it was.
  int type = -1;
  static_assert(sizeof(type) == sizeof(napi_typedarray_type));
  size_t length = 0;
  if (napi_get_typedarray_info(env, value, reinterpret_cast<napi_typedarray_type*>(&type), &length,
                               &bytes->data, nullptr, nullptr) == napi_ok) {
    if (type >= 0 && type < static_cast<int>(std::size(kElementBytes))) [[likely]] {
      bytes->size = length * kElementBytes[type];
      return bytes->size > 0;
    }
    // Takes every view for a buffer, and counts bytes. It does not look what it is given, hence the
    // question before.
    bool is_view = false;
    return napi_is_buffer(env, value, &is_view) == napi_ok && is_view &&
           napi_get_buffer_info(env, value, &bytes->data, &bytes->size) == napi_ok &&
           bytes->size > 0;
  }
  return napi_get_dataview_info(env, value, &bytes->size, &bytes->data, nullptr, nullptr) ==
             napi_ok &&
         bytes->size > 0;
}

// --- Functions: (data) => undefined, with the result in the block; or true ---

template <void (*kCompute)(const Bytes& bytes, Block* block)>
napi_value OfData(napi_env env, napi_callback_info info) {
  size_t count = 1;
  napi_value data = nullptr;
  void* home = nullptr;
  Bytes bytes{};
  if (napi_get_cb_info(env, info, &count, &data, nullptr, &home) != napi_ok ||
      !ReadBytes(env, data, &bytes)) {
    return NothingHashed(env);
  }
  Block* block = BlockOf(env, home);
  if (block != nullptr) kCompute(bytes, block);
  return nullptr;
}

void ComputeCrc32c(const Bytes& bytes, Block* block) {
  block->value = Crc32c(bytes.data, bytes.size, static_cast<uint32_t>(block->value));
}

void ComputeCrc64Nvme(const Bytes& bytes, Block* block) {
  block->value = Crc64Nvme(bytes.data, bytes.size, block->value);
}

void ComputeXxh3(const Bytes& bytes, Block* block) {
  block->value = Xxh3(bytes.data, bytes.size, block->value);
}

// (bytesB) => undefined: the block has both CRCs, and the result in place of the first.
template <typename Crc, Crc (*kCombine)(Crc crc_a, Crc crc_b, uint64_t bytes_b)>
napi_value Combine(napi_env env, napi_callback_info info) {
  size_t count = 1;
  napi_value argument = nullptr;
  void* data = nullptr;
  double bytes_b = 0;
  if (napi_get_cb_info(env, info, &count, &argument, nullptr, &data) != napi_ok ||
      !ReadInteger(Napi::Value(env, argument), "bytesB", 0, kMaxSafeInteger, &bytes_b)) {
    return nullptr;
  }
  Block* block = BlockOf(env, data);
  if (block == nullptr) return nullptr;
  block->value = kCombine(static_cast<Crc>(block->value), static_cast<Crc>(block->second),
                          static_cast<uint64_t>(bytes_b));
  return nullptr;
}

// --- XXH3 of parts: the state lies in memory of JavaScript's ---

// A class that wraps a native state would cost as much for each call, and its states would be freed
// only when the event loop turns: a million hashers in one turn, however short their lives, would
// be there at the same time.
//
// Nobody but its hasher has the memory; but it may be anything, at any address, where somebody
// calls this directly. So it is copied, and any contents are safe.
bool ReadState(napi_env env, napi_value value, Bytes* bytes, Xxh3State* state) {
  if (!ReadBytes(env, value, bytes) || bytes->size != sizeof(*state)) return false;
  std::memcpy(state, bytes->data, sizeof(*state));
  return true;
}

// xxh3Update(state, data): undefined, or true if there was nothing to hash.
napi_value UpdateXxh3(napi_env env, napi_callback_info info) {
  size_t count = 2;
  napi_value arguments[2];
  Bytes memory{};
  Bytes data{};
  Xxh3State state;
  if (napi_get_cb_info(env, info, &count, arguments, nullptr, nullptr) != napi_ok ||
      !ReadState(env, arguments[0], &memory, &state) || !ReadBytes(env, arguments[1], &data)) {
    return NothingHashed(env);
  }
  Xxh3Update(&state, data.data, data.size);
  std::memcpy(memory.data, &state, sizeof(state));
  return nullptr;
}

// xxh3Digest(state): undefined, with the hash in the block; or true if that is no state.
napi_value DigestXxh3(napi_env env, napi_callback_info info) {
  size_t count = 1;
  napi_value argument = nullptr;
  void* home = nullptr;
  Bytes memory{};
  Xxh3State state;
  if (napi_get_cb_info(env, info, &count, &argument, nullptr, &home) != napi_ok ||
      !ReadState(env, argument, &memory, &state)) {
    return NothingHashed(env);
  }
  Block* block = BlockOf(env, home);
  if (block != nullptr) block->value = Xxh3Digest(state);
  return nullptr;
}

// --- Which instructions ---

// Why nothing faster runs here, in words; empty if nothing is. Kernels of another architecture are
// no news.
std::string SimdRemarks() {
  std::string remarks;
  const auto add = [&remarks](const std::string& remark) {
    if (!remarks.empty()) remarks += "; ";
    remarks += remark;
  };
  const auto kernels = CrcKernels();
  const auto& chosen = ChosenCrcKernel();
  for (const auto& kernel : kernels) {
    if (kernel.kernel == nullptr || kernel.level <= chosen.level) continue;
    const char* why =
        kernel.why_not == nullptr ? "RINGBOLT_SIMD names a lower level" : kernel.why_not;
    add(std::string("not ") + kernel.name + ": " + why);
  }
  // Why RINGBOLT_SIMD was not obeyed is the reason above, or that it names nothing there is.
  if (SimdNote() != nullptr) add(std::string("RINGBOLT_SIMD was not obeyed: ") + SimdNote());
  if (ChosenXxh3Kernel() == nullptr) add("no XXH3: built without xxHash");
  return remarks;
}

// { level, xxh3, remarks }; xxh3 is undefined in a build without.
Napi::Object DescribeSimd(Napi::Env env) {
  Napi::Object simd = Napi::Object::New(env);
  simd.Set("level", ChosenCrcKernel().name);
  const auto* xxh3 = ChosenXxh3Kernel();
  simd.Set("xxh3", xxh3 == nullptr ? env.Undefined() : Napi::String::New(env, xxh3->name));
  simd.Set("remarks", SimdRemarks());
  return simd;
}

// --- Setting up ---

// As lib/ reads it for engines; this is needed before.
bool ExternalBuffersDisabled() {
  const char* disabled = std::getenv("RINGBOLT_DISABLE");
  return disabled != nullptr && std::strstr(disabled, kExternalBuffers) != nullptr;
}

// Null with an exception pending.
napi_value MakeBlock(napi_env env, BlockHome* home) {
  napi_value buffer = nullptr;
  auto block = std::make_shared<Block>();
  if (!ExternalBuffersDisabled() &&
      MakeExternalBuffer(env, block.get(), sizeof(Block), block, &buffer) == napi_ok) {
    home->block = std::move(block);
    return buffer;
  }
  void* data = nullptr;
  if (napi_create_arraybuffer(env, sizeof(Block), &data, &buffer) == napi_ok &&
      napi_create_reference(env, buffer, 1, &home->buffer) == napi_ok) {
    return buffer;
  }
  napi_throw_error(env, nullptr, "no memory for an ArrayBuffer");
  return nullptr;
}

napi_property_descriptor Property(const char* name, napi_callback callback, BlockHome* home) {
  napi_property_descriptor property{};
  property.utf8name = name;
  property.method = callback;
  property.attributes = napi_default_method;
  property.data = home;
  return property;
}

}  // namespace

Napi::Value DefineChecksums(Napi::Env env) {
  auto owned = std::make_unique<BlockHome>();
  BlockHome* home = owned.get();
  napi_value buffer = MakeBlock(env, home);
  if (buffer == nullptr) return {};
  // The functions use it until no JavaScript runs any more.
  env.AddCleanupHook([owner = owned.release()] { delete owner; });

  Napi::Object checksum = Napi::Object::New(env);
  checksum.Set("block", buffer);
  checksum.Set("simd", DescribeSimd(env));
  checksum.Set("xxh3StateBytes", static_cast<double>(sizeof(Xxh3State)));
  const napi_property_descriptor crcs[] = {
      Property("crc32c", OfData<ComputeCrc32c>, home),
      Property("crc64nvme", OfData<ComputeCrc64Nvme>, home),
      Property("combineCrc32c", Combine<uint32_t, Crc32cCombine>, home),
      Property("combineCrc64nvme", Combine<uint64_t, Crc64NvmeCombine>, home),
  };
  if (napi_define_properties(env, checksum, std::size(crcs), crcs) != napi_ok) return {};
  if (ChosenXxh3Kernel() == nullptr) return checksum;
  const napi_property_descriptor xxh3[] = {
      Property("xxh3", OfData<ComputeXxh3>, home),
      Property("xxh3Update", UpdateXxh3, home),
      Property("xxh3Digest", DigestXxh3, home),
  };
  if (napi_define_properties(env, checksum, std::size(xxh3), xxh3) != napi_ok) return {};
  return checksum;
}

}  // namespace ringbolt
