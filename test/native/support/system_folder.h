// A folder that stands in front of /sys, with the files that a test puts there; gone when the test
// is.

#ifndef RINGBOLT_TEST_SUPPORT_SYSTEM_FOLDER_H_
#define RINGBOLT_TEST_SUPPORT_SYSTEM_FOLDER_H_

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

namespace ringbolt::test {

class SystemFolder {
 public:
  SystemFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "ringbolt-sys-XXXXXX").string();
    if (mkdtemp(name.data()) != nullptr) root_ = name;
  }
  ~SystemFolder() {
    std::error_code ignored;
    if (!root_.empty()) std::filesystem::remove_all(root_, ignored);
  }
  SystemFolder(const SystemFolder&) = delete;
  SystemFolder& operator=(const SystemFolder&) = delete;

  // `name` from /sys on: "kernel/mm/...".
  void Write(const std::string& name, const std::string& text) const {
    const std::filesystem::path path = std::filesystem::path(root_) / "sys" / name;
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path) << text;
  }

  const std::string& root() const { return root_; }

 private:
  std::string root_;
};

}  // namespace ringbolt::test

#endif  // RINGBOLT_TEST_SUPPORT_SYSTEM_FOLDER_H_
