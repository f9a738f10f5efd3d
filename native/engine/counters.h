// What a queue counts. Written by its thread alone, read by anybody (see histogram.h).

#ifndef RINGBOLT_ENGINE_COUNTERS_H_
#define RINGBOLT_ENGINE_COUNTERS_H_

#include "base/align.h"
#include "engine/histogram.h"
#include "engine/op_slot.h"

namespace ringbolt {

struct ClassCounters {
  Counter reads;
  Counter writes;
  Counter syncs;
  Counter nops;
  Counter bytes_read;
  Counter bytes_written;
  Counter errors;
  Counter checksums;       // operations that only hashed memory
  Counter checksum_bytes;  // hashed, with I/O and without
  Counter checksum_ns;     // spent on that by the queue's thread; in none of the histograms below
  Counter checksum_mismatches;  // blocks whose value was not the expected one
  Histogram waiting;            // from the call in JavaScript to the hand-over to the kernel
  Histogram kernel;             // from there to the end, continuations of short transfers included
  Histogram total;              // both together
};

struct alignas(kCacheLineBytes) QueueCounters {
  ClassCounters classes[kIoClasses];
  Counter depth_max;           // most operations in the kernel at once
  Counter wake_ups;            // times the thread was woken by JavaScript
  Counter waits;               // calls of Backend::Wait, one system call each
  Counter submission_batches;  // loop turns that took submissions, and how many in the largest
  Counter submission_batch_max;
  Counter completion_batches;
  Counter completion_batch_max;
  Counter notifications;  // times JavaScript was notified
  Counter retries;        // after EINTR or EAGAIN
  Counter continuations;  // after a short transfer
  Counter rejected;       // slots that failed validation
};

}  // namespace ringbolt

#endif  // RINGBOLT_ENGINE_COUNTERS_H_
