// What only this package's own modules have: proof that an object is made by them. Classes that are exported for their
// types and for instanceof are made by nobody else.

const secret = Symbol('ringbolt');

export type Secret = typeof secret;

/** To pass to a constructor. */
export const SECRET: Secret = secret;

/** @throws TypeError unless `given` is the secret */
export function checkSecret(given: unknown): void {
  if (given !== secret) throw new TypeError('Illegal constructor');
}
