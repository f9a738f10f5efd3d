// Shows that the package, packed and installed in an empty project, is whole: it holds what it should and nothing else, compiles,
// loads by require and by import, has types for both, and brings its command.
//
// Installed as a user without a prebuild would: by its install script, which compiles the addon. That is slower than copying
// the one that is here, but it is the only way to see that the sources are complete. Dependencies come from this
// checkout, so no registry is asked.

import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const root = path.join(import.meta.dirname, '..', '..');
const modules = path.join(root, 'node_modules');

interface Manifest {
  readonly version: string;
  readonly main: string;
  readonly types: string;
  readonly bin: Readonly<Record<string, string>>;
  readonly dependencies: Readonly<Record<string, string>>;
}
const manifest = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8')) as Manifest;

let folder: string;
let project: string;
let installed: string;
/** Paths in the package. */
let files: readonly string[];

/** Node's headers where they came with it: node-gyp would download them otherwise. */
function headersOfThisNode(): NodeJS.ProcessEnv {
  const prefix = path.join(process.execPath, '..', '..');
  const here = existsSync(path.join(prefix, 'include', 'node', 'node_api.h'));
  return here && process.env['npm_config_nodedir'] === undefined
    ? { npm_config_nodedir: prefix }
    : {};
}

/** What a command in the project prints. It sees nothing of npm's or vitest's own environment. */
async function run(command: string, ...args: string[]): Promise<string> {
  const env = Object.entries(process.env).filter(
    ([name]) => !/^(npm_(?!config_nodedir)|NODE_|VITE|INIT_CWD)/i.test(name),
  );
  const { stdout } = await promisify(execFile)(command, args, {
    cwd: project,
    env: { ...Object.fromEntries(env), ...headersOfThisNode(), npm_config_jobs: 'max' },
    maxBuffer: 2 ** 26,
  });
  return stdout;
}

const write = (name: string, text: string) => {
  writeFileSync(path.join(project, name), text);
};

beforeAll(async () => {
  folder = mkdtempSync(path.join(tmpdir(), 'ringbolt-test-'));
  project = path.join(folder, 'project');
  mkdirSync(project);
  const packed = JSON.parse(
    await run(
      'npm',
      ...['pack', '--ignore-scripts', '--json', '--pack-destination', folder, root],
      ...Object.keys(manifest.dependencies).map((name) => path.join(modules, name)),
    ),
  ) as { name: string; filename: string; files: { path: string }[] }[];
  files = packed.find(({ name }) => name === 'ringbolt')!.files.map((file) => file.path);
  const dependencies = Object.fromEntries(
    packed.map(({ name, filename }) => [name, `file:../${filename}`]),
  );
  write('package.json', JSON.stringify({ dependencies }));
  await run('npm', 'install', '--offline', '--no-audit', '--no-fund', '--loglevel=error');
  installed = path.join(project, 'node_modules', 'ringbolt');
}, 180_000);

afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

describe('the tarball', () => {
  const BELONGS = [
    /^(package\.json|README\.md|LICENSE|CHANGELOG\.md|binding\.gyp)$/,
    /^dist\/(lib|bench)\/[\w/-]+\.(js|d\.ts|js\.map)$/,
    /^native\/[\w/-]+\.(cc|h)$/,
    /^native\/sources[\w-]*\.txt$/,
    /^scripts\/find-\w+\.js$/,
    /^prebuilds\/linux-(x64|arm64)\/[\w.@+-]+\.node$/,
  ];
  const read = (name: string) => readFileSync(path.join(installed, name), 'utf8');
  const among = (ending: RegExp) => files.filter((name) => ending.test(name));
  const missing = (names: readonly string[]) => names.filter((name) => !files.includes(name));

  it('holds nothing that does not belong there', () => {
    const strangers = files.filter((name) => !BELONGS.some((pattern) => pattern.test(name)));
    expect(strangers).toEqual([]);
  });

  it('holds what the manifest points to', () => {
    const { main, types, bin } = manifest;
    expect(missing(['README.md', 'LICENSE', main, types, ...Object.values(bin)])).toEqual([]);
  });

  it('holds every native source, and every script that builds them', () => {
    const sources = among(/^native\/sources[\w-]*\.txt$/).flatMap((list) =>
      read(list).split(/\s+/).filter(Boolean),
    );
    const scripts = read('binding.gyp').matchAll(/\bscripts\/[\w-]+\.js\b/g);
    expect(sources.length).toBeGreaterThan(10);
    expect(missing(sources)).toEqual([]);
    expect(missing([...scripts].map(([name]) => name))).toEqual([]);
  });

  it('holds for every module its types and its map, and the map brings its source along', () => {
    const scripts = among(/^dist\/.*\.js$/);
    expect(scripts.length).toBeGreaterThan(20);
    for (const name of scripts) {
      expect(files).toContain(name.replace(/\.js$/, '.d.ts'));
      expect(read(name)).toMatch(`//# sourceMappingURL=${path.basename(name)}.map`);
      const map = JSON.parse(read(`${name}.map`)) as {
        sources: string[];
        sourcesContent?: (string | null)[];
      };
      expect(map.sourcesContent, name).toHaveLength(map.sources.length);
      expect(map.sourcesContent, name).not.toContain(null);
    }
    expect(among(/\.map$/)).toHaveLength(scripts.length);
  });

  it('knows nothing of the folder where it was made', () => {
    for (const name of among(/\.(js|ts|map|json|txt|gyp|md)$/)) {
      expect(read(name).includes(root), name).toBe(false);
    }
  });
});

describe('the installed package', () => {
  const READ_ITSELF = `
    async function readItself(Engine) {
      const engine = await Engine.start({ pool: { bytes: 2 ** 20 } });
      const file = await engine.open('package.json', { direct: false });
      const lease = engine.pool.acquire(file.size);
      const bytes = await file.read(0, lease);
      const text = lease.buffer.toString('utf8', 0, bytes);
      lease.release();
      await engine.close();
      console.log(Object.keys(JSON.parse(text)).join());
    }`;

  it('works by require', async () => {
    write('by-require.cjs', `${READ_ITSELF}\nreadItself(require('ringbolt').Engine);`);
    expect(await run('node', 'by-require.cjs')).toBe('dependencies\n');
  });

  it('works by import, with names and as a whole', async () => {
    const imports = `import { Engine } from 'ringbolt'; import all from 'ringbolt';`;
    const body = `${READ_ITSELF}\nawait readItself(Engine); await readItself(all.Engine);`;
    write('by-import.mjs', `${imports}\n${body}`);
    expect(await run('node', 'by-import.mjs')).toBe('dependencies\ndependencies\n');
  });

  it('is one package by either way', async () => {
    write(
      'both.mjs',
      `
      import { createRequire } from 'node:module';
      import * as imported from 'ringbolt';
      const required = createRequire(import.meta.url)('ringbolt');
      const names = Object.keys(required);
      console.log(names.length > 0 && names.every((name) => required[name] === imported[name]));`,
    );
    expect(await run('node', 'both.mjs')).toBe('true\n');
  });

  it('keeps its inside to itself', async () => {
    write(
      'inside.mjs',
      `
      const outcomes = ['dist/lib/native.js', 'build/Release/ringbolt.node', 'lib/index.js'].map(
        (name) => import('ringbolt/' + name).then(() => 'loaded', (error) => error.code),
      );
      console.log((await Promise.all(outcomes)).join());`,
    );
    const code = 'ERR_PACKAGE_PATH_NOT_EXPORTED';
    expect(await run('node', 'inside.mjs')).toBe(`${[code, code, code].join()}\n`);
  });

  it('brings its command', async () => {
    const version = await run('npx', '--no-install', 'ringbolt', '--version');
    expect(version).toBe(`${manifest.version}\n`);
    const help = await run('npx', '--no-install', 'ringbolt', '--help');
    expect(help).toContain('Usage: ringbolt');
  });

  it.each(['node16', 'nodenext'])(
    'has types under module %s',
    { timeout: 60_000 },
    async (module) => {
      const program = `
      import { Engine, Lease, RingboltError, type BlockTarget, type EngineOptions } from 'ringbolt';

      const options: EngineOptions = { queues: 1, pool: { bytes: 2 ** 20, hugePages: 'off' } };

      async function copy(from: BlockTarget, to: BlockTarget, lease: Lease): Promise<number> {
        const bytes: number = await from.read(0, lease);
        const { transferred }: { transferred: Float64Array } = await to.writeBatch(
          [{ offset: 0, buffer: lease }],
          { durable: true },
        );
        return bytes + transferred.length;
      }

      export async function main(): Promise<void> {
        await using engine = await Engine.start(options);
        const file = await engine.open('data', { access: 'read-write', create: true });
        using lease = engine.pool.acquire(4096);
        const buffer: Buffer = lease.buffer;
        buffer.fill(0);
        try {
          await copy(file, file, lease);
        } catch (error) {
          if (error instanceof RingboltError) console.log(error.code, error.bytesDone);
        }
        for await (const { iops, latencyUs } of engine.watch({ intervalMs: 100 })) {
          console.log(iops + latencyUs.p99);
          break;
        }
        // @ts-expect-error: not an option
        await Engine.start({ queue: 1 });
        // @ts-expect-error: not a word for access
        await engine.open('data', { access: 'rw' });
        // @ts-expect-error: not memory
        await file.read(0, 'buffer');
        // @ts-expect-error: internal
        lease.unit;
      }`;
      write('types.cts', program);
      write('types.mts', program);
      // Like any project that uses Node: nothing of ours but the package itself.
      const types = path.join(project, 'node_modules', '@types');
      if (!existsSync(types)) symlinkSync(path.join(modules, '@types'), types);
      write(
        'tsconfig.json',
        JSON.stringify({
          compilerOptions: {
            ...{ module, target: 'es2022', lib: ['es2022', 'esnext.disposable'], types: ['node'] },
            ...{ strict: true, exactOptionalPropertyTypes: true, noEmit: true },
          },
          files: ['types.cts', 'types.mts'],
        }),
      );
      const tsc = path.join(modules, 'typescript', 'bin', 'tsc');
      const output = run('node', tsc, '--project', '.').catch((error: unknown) => {
        throw new Error((error as { stdout: string }).stdout);
      });
      expect(await output).toBe('');
    },
  );
});
