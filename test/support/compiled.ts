// Test modules as plain JavaScript, for processes of their own:
//
//   folder/test/…        a module and those of test/ that it imports, compiled
//   folder/dist/lib/…    links to what was built; or a copy of one room of it, with changes
//   folder/node_modules  ringbolt is the package itself
//
// Links lead to the same modules as everywhere else: only what was copied is loaded a second time.

import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import ts from 'typescript';

const root = path.join(import.meta.dirname, '..', '..');
const lib = path.join(root, 'dist/lib');

const OPTIONS: ts.CompilerOptions = {
  module: ts.ModuleKind.ESNext,
  target: ts.ScriptTarget.ES2022,
  verbatimModuleSyntax: true,
};

/** Of a built file: text that is there exactly once, and what is to be there instead. */
export interface Change {
  /** In the room, such as `format/bitmap.js`. */
  readonly file: string;
  readonly find: string;
  readonly replace: string;
}

export class CompiledTests {
  readonly folder = mkdtempSync(path.join(tmpdir(), 'ringbolt-test-'));
  readonly #compiled = new Set<string>();

  /**
   * `room`: one of lib/, that `changes` are made to.
   *
   * @throws if what is to be changed is not there, or more than once
   */
  constructor(room?: string, changes: readonly Change[] = []) {
    writeFileSync(path.join(this.folder, 'package.json'), '{ "type": "module" }');
    mkdirSync(path.join(this.folder, 'node_modules'));
    symlinkSync(root, path.join(this.folder, 'node_modules/ringbolt'));
    if (room === undefined) symlinkSync(path.join(root, 'dist'), path.join(this.folder, 'dist'));
    else this.#copyRoom(room, changes);
  }

  #copyRoom(room: string, changes: readonly Change[]): void {
    const copy = path.join(this.folder, 'dist/lib');
    mkdirSync(copy, { recursive: true });
    writeFileSync(path.join(this.folder, 'dist/package.json'), '{ "type": "commonjs" }');
    for (const name of readdirSync(lib)) {
      if (name !== room) symlinkSync(path.join(lib, name), path.join(copy, name));
    }
    cpSync(path.join(lib, room), path.join(copy, room), { recursive: true });
    for (const { file, find, replace } of changes) {
      const name = path.join(copy, room, file);
      const parts = readFileSync(name, 'utf8').split(find);
      if (parts.length !== 2)
        throw new Error(`${room}/${file} has ${parts.length - 1} times, not once: ${find}`);
      writeFileSync(name, parts.join(replace));
    }
  }

  /** `name`: a path from the folder test/, of a .ts file. Returns the compiled one's. */
  add(name: string): string {
    const module = path.join(this.folder, 'test', name).replace(/\.ts$/, '.js');
    if (this.#compiled.has(name)) return module;
    this.#compiled.add(name);
    const source = readFileSync(path.join(root, 'test', name), 'utf8');
    const { outputText } = ts.transpileModule(source, { compilerOptions: OPTIONS });
    mkdirSync(path.dirname(module), { recursive: true });
    writeFileSync(module, outputText);
    for (const [, imported] of outputText.matchAll(/ from '(\.[^']+)\.js'/g)) {
      const other = path.join(path.dirname(name), `${imported}.ts`);
      if (!other.startsWith('../dist')) this.add(other);
    }
    return module;
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}
