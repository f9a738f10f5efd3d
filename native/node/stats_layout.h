// A queue's counters as one row of numbers, the order of which lib/native.ts knows too.
//
//   kQueueNumbers of the queue, then for each class: kClassNumbers, and three histograms of
//   Histogram::kBuckets counts: waiting, kernel, total.

#ifndef RINGBOLT_NODE_STATS_LAYOUT_H_
#define RINGBOLT_NODE_STATS_LAYOUT_H_

#include <cstddef>

#include "engine/queue.h"

namespace ringbolt {

inline constexpr size_t kQueueNumbers = 12;
inline constexpr size_t kClassNumbers = 14;
inline constexpr size_t kHistogramsPerClass = 3;
inline constexpr size_t kQueueStatsNumbers =
    kQueueNumbers +
    (kIoClasses * (kClassNumbers + (kHistogramsPerClass * size_t{Histogram::kBuckets})));

// `out` has room for kQueueStatsNumbers.
inline void WriteQueueStats(const Queue& queue, double* out) {
  const auto put = [&out](uint64_t value) { *out++ = static_cast<double>(value); };
  const QueueCounters& counters = queue.counters();
  put(queue.in_flight());
  put(counters.depth_max.Get());
  put(counters.wake_ups.Get());
  put(counters.waits.Get());
  put(counters.submission_batches.Get());
  put(counters.submission_batch_max.Get());
  put(counters.completion_batches.Get());
  put(counters.completion_batch_max.Get());
  put(counters.notifications.Get());
  put(counters.retries.Get());
  put(counters.continuations.Get());
  put(counters.rejected.Get());
  for (const ClassCounters& of : counters.classes) {
    put(of.reads.Get());
    put(of.writes.Get());
    put(of.syncs.Get());
    put(of.nops.Get());
    put(of.bytes_read.Get());
    put(of.bytes_written.Get());
    put(of.errors.Get());
    put(of.checksums.Get());
    put(of.checksum_bytes.Get());
    put(of.checksum_ns.Get());
    put(of.checksum_mismatches.Get());
    put(of.waiting.Max());
    put(of.kernel.Max());
    put(of.total.Max());
    for (const Histogram* histogram : {&of.waiting, &of.kernel, &of.total}) {
      for (uint32_t bucket = 0; bucket < Histogram::kBuckets; ++bucket) {
        put(histogram->Count(bucket));
      }
    }
  }
}

}  // namespace ringbolt

#endif  // RINGBOLT_NODE_STATS_LAYOUT_H_
