#include "checksum/vectors.h"

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <map>

namespace ringbolt::test {

namespace {

// The text between the quotation marks or before the comma that follow `"key": `.
std::string Field(const std::string& object, const std::string& key) {
  const std::string mark = "\"" + key + "\":";
  size_t begin = object.find(mark);
  if (begin == std::string::npos) return "";
  begin = object.find_first_not_of(' ', begin + mark.size());
  if (object[begin] == '"')
    return object.substr(begin + 1, object.find('"', begin + 1) - begin - 1);
  return object.substr(begin, object.find_first_of(",\n}", begin) - begin);
}

std::vector<uint8_t> Lcg(size_t bytes, uint32_t seed) {
  std::vector<uint8_t> data;
  for (uint32_t x = seed; data.size() < bytes;) {
    x = (x * 1664525) + 1013904223;
    data.push_back(static_cast<uint8_t>(x >> 24));
  }
  return data;
}

// Understands what the file's note and its cases say of their data.
bool MakeData(const std::string& text, size_t length, std::vector<uint8_t>* data) {
  unsigned count = 0;
  unsigned value = 0;
  if (text.empty()) {
    data->clear();
  } else if (text.starts_with("ascii ")) {
    data->assign(text.begin() + 6, text.end());
  } else if (std::sscanf(text.c_str(), "%u x 0x%x", &count, &value) == 2) {
    data->assign(count, static_cast<uint8_t>(value));
  } else if (std::sscanf(text.c_str(), "lcg n=%u seed=%u", &count, &value) == 2) {
    *data = Lcg(count, value);
  } else if (text == "0..31" || text == "i mod 256") {
    for (size_t i = 0; i < length; ++i) data->push_back(static_cast<uint8_t>(i));
  } else if (text == "31..0") {
    for (size_t i = 0; i < length; ++i) data->push_back(static_cast<uint8_t>(31 - i));
  } else if (text == "255 - i mod 256") {
    for (size_t i = 0; i < length; ++i) data->push_back(static_cast<uint8_t>(255 - (i % 256)));
  } else {
    return false;
  }
  return data->size() == length;
}

uint64_t Number(const std::string& text) { return std::strtoull(text.c_str(), nullptr, 0); }

}  // namespace

std::vector<ChecksumVector> ReadChecksumVectors() {
  std::ifstream file("test/vectors/checksums.json");
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  std::vector<ChecksumVector> vectors;
  size_t at = text.find("\"cases\"");
  while (at != std::string::npos && (at = text.find('{', at)) != std::string::npos) {
    const std::string object = text.substr(at, text.find('}', at) - at + 1);
    at += object.size();
    ChecksumVector vector;
    vector.name = Field(object, "name");
    vector.crc32c = static_cast<uint32_t>(Number(Field(object, "crc32c")));
    vector.crc64nvme = Number(Field(object, "crc64nvme"));
    vector.xxh3 = Number(Field(object, "xxh3_64"));
    if (!MakeData(Field(object, "data"), Number(Field(object, "length")), &vector.data)) return {};
    vectors.push_back(std::move(vector));
  }
  return vectors;
}

}  // namespace ringbolt::test
