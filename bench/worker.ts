// A worker process: gets one task from the process that forked it, answers with the outcome, and ends.

import { measureNodeFs } from './node-fs-peer.js';
import { prepare } from './prepare.js';
import { errorText, type Outcome, type Task } from './protocol.js';
import { measureNoops, measureRingbolt } from './ringbolt-peer.js';
import { measureStream } from './streams.js';

async function run(task: Task): Promise<unknown> {
  switch (task.kind) {
    case 'prepare':
      return prepare(task);
    case 'noop':
      return measureNoops(task);
    case 'stream':
      return measureStream(task);
    case 'io':
      return task.api === 'node-fs' ? measureNodeFs(task) : measureRingbolt(task);
  }
}

async function answer(task: Task): Promise<void> {
  const outcome: Outcome<unknown> = await run(task).then(
    (value) => ({ status: 'ok', value }),
    (error: unknown) => ({ status: 'failed', error: errorText(error) }),
  );
  // Exiting before the message is out would lose it. Nothing else is waited for: after a failure, other loops may still
  // be running.
  process.send?.(outcome, undefined, {}, () => process.exit(0));
}

// The parent is gone: nobody wants the figures, and the target may be gone, too.
process.once('disconnect', () => process.exit(1));
process.once('message', (task: Task) => void answer(task));
