// Resizable ArrayBuffers: Node 20 has them, the ES2023 that tests are compiled for does not.

export interface ResizableArrayBuffer extends ArrayBuffer {
  resize(bytes: number): void;
}

type Constructor = new (bytes: number, options: { maxByteLength: number }) => ResizableArrayBuffer;

export function resizable(bytes: number, maxByteLength: number): ResizableArrayBuffer {
  return new (ArrayBuffer as unknown as Constructor)(bytes, { maxByteLength });
}
