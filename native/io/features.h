// What a backend, or the addon, says of its optional abilities.

#ifndef RINGBOLT_IO_FEATURES_H_
#define RINGBOLT_IO_FEATURES_H_

#include <string>
#include <vector>

namespace ringbolt {

// One optional ability: whether it is in use and, if not, why.
struct BackendFeature {
  const char* name = "";
  bool active = false;
  std::string reason;
};

// Whether `feature` is among those to go without (BackendOptions::without).
bool IsDisabled(const std::vector<std::string>& without, const char* feature);

BackendFeature DisabledFeature(const char* name);

// `error`: 0, or the errno with which the kernel refused it, for want of what `needs` says.
BackendFeature TriedFeature(const char* name, int error, const std::string& needs);

}  // namespace ringbolt

#endif  // RINGBOLT_IO_FEATURES_H_
