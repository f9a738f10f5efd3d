#include "io/features.h"

#include <algorithm>
#include <cstring>

namespace ringbolt {

bool IsDisabled(const std::vector<std::string>& without, const char* feature) {
  return std::ranges::find(without, feature) != without.end();
}

BackendFeature DisabledFeature(const char* name) { return {name, false, "disabled by request"}; }

BackendFeature TriedFeature(const char* name, int error, const std::string& needs) {
  if (error == 0) return {name, true, ""};
  return {name, false, std::string(std::strerror(error)) + ": " + needs};
}

}  // namespace ringbolt
