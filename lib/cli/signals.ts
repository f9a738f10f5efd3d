// What ends a command from outside: it stops in its own way, and its exit code says which signal it was.

/** 128 and the signal's number, as shells have it. */
const EXIT_CODES = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const;

/** The second time a signal comes it ends the process as ever. */
export function onSignals(stop: (exitCode: number) => void): void {
  for (const [signal, code] of Object.entries(EXIT_CODES)) {
    process.once(signal, () => {
      stop(code);
    });
  }
}
