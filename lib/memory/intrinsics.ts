// What a typed array really is, whatever its class overrides or its holder has put on it.

const typedArray = Object.getPrototypeOf(Uint8Array.prototype) as object;

const { get: lengthOf } = Object.getOwnPropertyDescriptor(typedArray, 'length') as {
  get: (this: NodeJS.TypedArray) => number;
};

/** Its elements; 0 if it was detached. */
export function trueLength(array: NodeJS.TypedArray): number {
  return lengthOf.call(array);
}

/** The buffer that it is a view of. */
export function memoryOf(array: NodeJS.TypedArray): ArrayBufferLike {
  return Reflect.get(typedArray, 'buffer', array) as ArrayBufferLike;
}

/** The same memory, as an array that nobody else has. */
export function plainView(array: Uint8Array): Uint8Array<ArrayBuffer> {
  const field = (name: string): unknown => Reflect.get(typedArray, name, array);
  const [buffer, byteOffset] = ['buffer', 'byteOffset'].map(field);
  return new Uint8Array(buffer as ArrayBuffer, byteOffset as number, trueLength(array));
}
