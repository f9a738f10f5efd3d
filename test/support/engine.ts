// An engine that is closed when the test ends, whatever came of it.

import { Engine, type EngineOptions } from 'ringbolt';
import { onTestFinished } from 'vitest';

/** A small pool, as tests start many engines. */
export async function startEngine(options: EngineOptions = {}): Promise<Engine> {
  const engine = await Engine.start({ pool: { bytes: 8 * 2 ** 20 }, ...options });
  onTestFinished(async () => {
    await engine.close();
  });
  return engine;
}
