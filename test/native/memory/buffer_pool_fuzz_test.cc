// Shows that random use of a pool agrees with a model: slabs and large leases never overlap and
// keep what was written to them, whoever releases them and whatever is trimmed meanwhile; nothing
// but leases resolves; a slab is refused only where no memory for it is free; and nothing is lost.
// One thread, with several magazines. RINGBOLT_POOL_STEPS=10000000 for a long run.

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <map>
#include <random>
#include <vector>

#include "memory/buffer_pool.h"
#include "memory/magazine.h"
#include "memory/pool_fixture.h"
#include "support/seed.h"

namespace ringbolt {

using test::kMiB;

namespace {

const std::vector<uint32_t> kClasses{4096, 8192, 32768, 262144, 1U << 20};

class Fuzz {
 public:
  explicit Fuzz(uint64_t seed)
      : random_(seed), pool_(test::MakePool({3 * kMiB, 2 * kMiB}, kClasses, 32 * kMiB)) {
    REQUIRE(pool_ != nullptr);
    for (const uint32_t part : {0, 0, 1}) {
      magazines_.push_back(std::make_unique<Magazine>(pool_, part));
    }
    is_leased_.assign(pool_->arena()->large_offset() / 4096, false);
  }

  void Step() {
    const uint64_t choice = random_() % 1000;
    if (choice < 440) {
      AcquireOne();
    } else if (choice < 880) {
      ReleaseOne();
    } else if (choice < 910) {
      AcquireSome();
    } else if (choice < 940) {
      ReleaseSome();
    } else if (choice < 960) {
      Resolve();
    } else if (choice < 990) {
      Large();
    } else if (choice < 996) {
      AnyMagazine().Flush();
    } else if (choice < 998) {
      ReleaseMany(Below(static_cast<uint32_t>(leases_.size())));  // nearly empty now and then
    } else {
      Trim();
      CheckStats();
    }
  }

  // All given back: the memory is in one piece again.
  void End() {
    ReleaseMany(static_cast<uint32_t>(leases_.size()));
    for (const auto& [unit, lease] : large_) REQUIRE(pool_->ReleaseLarge(unit));
    magazines_.clear();
    CHECK(test::AcquireAll(*pool_, 4).size() == 5);
    CHECK(pool_->AcquireLarge(32 * kMiB) != kNoSlab);
  }

 private:
  struct Leased {
    size_t bytes = 0;
    uint64_t stamp = 0;
  };

  uint32_t Below(uint32_t bound) {
    return bound == 0 ? 0 : static_cast<uint32_t>(random_() % bound);
  }
  Magazine& AnyMagazine() { return *magazines_[Below(3)]; }

  // Small slabs more often, so that there are many of them at once.
  uint32_t AnyClass() { return std::min(Below(5), Below(5)); }

  void AcquireOne() {
    const uint32_t slab_class = AnyClass();
    Magazine& magazine = AnyMagazine();
    uint32_t unit = magazine.Acquire(slab_class);
    if (unit == kNoSlab) {
      // Others may hold free memory; without that, there is none.
      for (const auto& other : magazines_) other->Flush();
      unit = magazine.Acquire(slab_class);
      REQUIRE((unit == kNoSlab) == !FreeBlock(kClasses[slab_class] / 4096));
    }
    if (unit != kNoSlab) Add(unit, slab_class);
  }

  void AcquireSome() {
    std::array<uint32_t, 100> units{};
    const uint32_t slab_class = AnyClass();
    const uint32_t count =
        pool_->AcquireMany(slab_class, Below(2), std::span(units).first(1 + Below(100)));
    for (uint32_t i = 0; i < count; ++i) Add(units[i], slab_class);
  }

  void ReleaseOne() {
    const auto [unit, leased] = Any(leases_);
    if (random_() % 50 == 0 || !leased) {  // what is not leased, or only in the middle of a lease
      const uint32_t other = Below(2000);
      if (!leases_.contains(other)) REQUIRE_FALSE(AnyMagazine().Release(other));
      return;
    }
    Forget(unit);
    REQUIRE(AnyMagazine().Release(unit));
    REQUIRE_FALSE(AnyMagazine().Release(unit));
  }

  void ReleaseSome() { ReleaseMany(Below(100)); }

  void ReleaseMany(uint32_t count) {
    std::vector<uint32_t> units;
    uint32_t good = 0;
    for (uint32_t i = 0; i < count && !leases_.empty(); ++i) {
      const auto [unit, leased] = Any(leases_);
      Forget(unit);
      units.push_back(unit);
      if (Below(20) == 0) units.push_back(unit);  // twice
      ++good;
    }
    REQUIRE(pool_->ReleaseMany(units) == good);
  }

  void Resolve() {
    const uint32_t unit = Below(2) == 0 ? Below(12'000) : Any(leases_).first;
    const size_t offset = Below(1U << 21);
    const size_t length = Below(1U << 21);
    const std::map<uint32_t, Leased>& of = large_.contains(unit) ? large_ : leases_;
    const auto found = of.find(unit);
    const bool inside = found != of.end() && offset + length <= found->second.bytes;
    const uint8_t* expected = pool_->arena()->base() + (size_t{unit} * 4096) + offset;
    REQUIRE(pool_->Resolve(unit, offset, length) == (inside ? expected : nullptr));
  }

  void Large() {
    if (random_() % 2 == 0) {
      const size_t bytes = (1 + Below(2000)) * 4096;
      const uint32_t unit = pool_->AcquireLarge(bytes);
      if (unit == kNoSlab) return;
      const auto next = large_.lower_bound(unit);
      REQUIRE((next == large_.end() || unit + (bytes / 4096) <= next->first));
      if (next != large_.begin()) {
        const auto& [before, lease] = *std::prev(next);
        REQUIRE(before + (lease.bytes / 4096) <= unit);
      }
      large_[unit] = {bytes, random_()};
      test::Stamp(pool_->SlabData(unit), bytes, large_[unit].stamp);
    } else if (const auto [unit, any] = Any(large_); any) {
      REQUIRE(test::HasStamp(pool_->SlabData(unit), large_[unit].bytes, large_[unit].stamp));
      const uint8_t* view = pool_->SlabData(unit);
      large_.erase(unit);
      REQUIRE(pool_->ReleaseLarge(unit));
      REQUIRE(*view == 0);
    }
  }

  void Trim() {
    size_t leased_bytes = 0;
    for (const auto& [unit, lease] : leases_) leased_bytes += lease.bytes;
    REQUIRE(pool_->Trim() <= 5 * kMiB - leased_bytes);
  }

  void CheckStats() {
    const PoolStats stats = pool_->Stats();
    std::array<std::array<uint64_t, 5>, 2> out{};
    for (const auto& [unit, lease] : leases_) {
      const auto known = std::find(kClasses.begin(), kClasses.end(), lease.bytes);
      ++out[pool_->PartOf(unit)][static_cast<size_t>(known - kClasses.begin())];
    }
    for (size_t part = 0; part < 2; ++part) {
      size_t bytes = stats.parts[part].uncut_bytes;
      for (size_t i = 0; i < kClasses.size(); ++i) {
        REQUIRE(stats.parts[part].classes[i].out == out[part][i]);
        bytes += stats.parts[part].classes[i].cut * kClasses[i];
      }
      REQUIRE(bytes == stats.parts[part].bytes);
    }
    REQUIRE(stats.large.out == large_.size());
  }

  void Add(uint32_t unit, uint32_t slab_class) {
    const size_t bytes = kClasses[slab_class];
    REQUIRE(pool_->LeasedBytes(unit) == bytes);
    const PartInfo& part = pool_->arena()->parts()[pool_->PartOf(unit)];
    const size_t offset = (size_t{unit} * 4096) - part.offset;
    REQUIRE(offset % bytes == 0);
    REQUIRE(offset + bytes <= part.bytes);
    for (uint32_t i = unit; i < unit + (bytes / 4096); ++i) {
      REQUIRE_FALSE(is_leased_[i]);
      is_leased_[i] = true;
    }
    leases_[unit] = {bytes, random_()};
    test::Stamp(pool_->SlabData(unit), bytes, leases_[unit].stamp);
  }

  void Forget(uint32_t unit) {
    const Leased lease = leases_[unit];
    REQUIRE(test::HasStamp(pool_->SlabData(unit), lease.bytes, lease.stamp));
    std::fill_n(is_leased_.begin() + unit, lease.bytes / 4096, false);
    leases_.erase(unit);
  }

  std::pair<uint32_t, bool> Any(const std::map<uint32_t, Leased>& from) {
    if (from.empty()) return {0, false};
    auto chosen = from.lower_bound(Below(12'000));
    if (chosen == from.end()) chosen = from.begin();
    return {chosen->first, true};
  }

  // Whether so many units in a row, aligned to their number, are free in any part.
  bool FreeBlock(uint32_t units) const {
    for (const PartInfo& part : pool_->arena()->parts()) {
      const auto first = static_cast<uint32_t>(part.offset / 4096);
      const auto end = static_cast<uint32_t>((part.offset + part.bytes) / 4096);
      for (uint32_t unit = first; unit + units <= end; unit += units) {
        const auto begin = is_leased_.begin() + unit;
        if (std::find(begin, begin + units, true) == begin + units) return true;
      }
    }
    return false;
  }

  std::mt19937_64 random_;
  std::shared_ptr<BufferPool> pool_;
  std::vector<std::unique_ptr<Magazine>> magazines_;
  std::map<uint32_t, Leased> leases_;
  std::map<uint32_t, Leased> large_;
  std::vector<bool> is_leased_;  // by unit
};

}  // namespace

TEST_CASE("BufferPool: random use agrees with a model, and nothing is lost") {
  const uint64_t seed = test::Seed();
  CAPTURE(seed);
  Fuzz fuzz(seed);
  const uint64_t steps = test::Steps(200'000);
  for (uint64_t step = 0; step < steps; ++step) fuzz.Step();
  fuzz.End();
}

}  // namespace ringbolt
