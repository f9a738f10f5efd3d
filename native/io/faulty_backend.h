// A wrapper for tests: what any backend may do to a queue, at rates of one's choosing.
//
// What becomes of an operation is decided when it is submitted, by the seed and by its place among
// all that were submitted: the same order gives the same faults. When results arrive depends on the
// backend within as ever.
//
// Everything it does, a kernel may do too. So a read of a direct file never stops within a block
// (that is how the end of a file shows), and no transfer is cut to nothing.

#ifndef RINGBOLT_IO_FAULTY_BACKEND_H_
#define RINGBOLT_IO_FAULTY_BACKEND_H_

#include <memory>

#include "io/backend.h"

namespace ringbolt {

// `inner` was made for as many operations in flight. passed_over() is taken over from it.
std::unique_ptr<Backend> AddFaults(const FaultPlan& plan, uint32_t max_in_flight,
                                   std::unique_ptr<Backend> inner);

}  // namespace ringbolt

#endif  // RINGBOLT_IO_FAULTY_BACKEND_H_
