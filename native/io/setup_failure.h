// Why a backend cannot be had on this machine, in words that name what to change.

#ifndef RINGBOLT_IO_SETUP_FAILURE_H_
#define RINGBOLT_IO_SETUP_FAILURE_H_

#include "base/status.h"

namespace ringbolt {

// Adds the reason to a failed set-up, as far as /proc shows it at this moment. A status that is ok,
// or has its reason already, stays as it is. Reads files: not for the I/O path.
Status ExplainSetupFailure(Status status);

}  // namespace ringbolt

#endif  // RINGBOLT_IO_SETUP_FAILURE_H_
