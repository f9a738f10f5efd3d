// Test modules as plain JavaScript, for processes of their own:
//
//   folder/test/…        a module and those of test/ that it imports, compiled
//   folder/dist/lib/…    links to what was built; or a copy of some of it, changed (volume/mutants.ts)
//   folder/node_modules  ringbolt is the package itself
//
// Links lead to the same modules as everywhere else: only what was copied is loaded a second time.

import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import ts from 'typescript';

const root = path.join(import.meta.dirname, '..', '..');

const OPTIONS: ts.CompilerOptions = {
  module: ts.ModuleKind.ESNext,
  target: ts.ScriptTarget.ES2022,
  verbatimModuleSyntax: true,
};

export class CompiledTests {
  readonly folder = mkdtempSync(path.join(tmpdir(), 'ringbolt-test-'));
  readonly #compiled = new Set<string>();

  constructor() {
    writeFileSync(path.join(this.folder, 'package.json'), '{ "type": "module" }');
    mkdirSync(path.join(this.folder, 'node_modules'));
    symlinkSync(root, path.join(this.folder, 'node_modules/ringbolt'));
    symlinkSync(path.join(root, 'dist'), path.join(this.folder, 'dist'));
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
