// An engine with faults, which is closed when the test ends. Node's own warning about them goes to the test, not to the terminal.

import { Engine, type EngineOptions } from 'ringbolt';
import { expect, onTestFinished } from 'vitest';
import { withFaults, type FaultPlan } from '../../dist/lib/engine/faults.js';

export async function startFaulty(options: EngineOptions, plan: FaultPlan): Promise<Engine> {
  const warned = new Promise<Error>((resolve) => process.once('warning', resolve));
  const engine = await Engine.start(withFaults(options, plan));
  onTestFinished(() => engine.close());
  expect((await warned).message).toMatch(`faults are injected: seed=${plan.seed}`);
  expect(engine.info.remarks).toMatch(`faults are injected: seed=${plan.seed}`);
  return engine;
}
