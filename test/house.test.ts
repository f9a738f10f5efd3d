// Keeps the house: who may import whom, one list of native sources, files short enough to hold one idea.

import { readFileSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';

const root = path.join(import.meta.dirname, '..');

function files(folder: string, ending: RegExp): string[] {
  return readdirSync(path.join(root, folder), { recursive: true, encoding: 'utf8' })
    .map((name) => path.join(folder, name))
    .filter((name) => ending.test(name));
}

const read = (name: string) => readFileSync(path.join(root, name), 'utf8');

/** Every import within the project: from which file to which. */
function edges(
  folder: string,
  ending: RegExp,
  pattern: RegExp,
  resolve: (from: string, to: string) => string,
) {
  return files(folder, ending).flatMap((from) =>
    [...read(from).matchAll(pattern)].map((match) => ({ from, to: resolve(from, match[1]!) })),
  );
}

// Ground to top. A file may import from its own room, and from rooms on floors below its own.
const TYPESCRIPT_FLOORS = [
  ['errors', 'interrupt', 'joined-runs', 'native', 'secret', 'validate'],
  ['topology', 'memory', 'metrics', 'checksum'],
  ['schedule'],
  ['device'],
  ['engine'],
  ['probe'],
  ['volume'],
  ['health'],
  ['index'],
  ['bench'],
  ['cli'],
];
const NATIVE_FLOORS = [['base'], ['topology', 'memory', 'checksum', 'io'], ['engine'], ['node']];

function forbidden(
  floors: readonly (readonly string[])[],
  roomOf: (name: string) => string,
  imports: readonly { from: string; to: string }[],
): string[] {
  const floorOf = (room: string) => floors.findIndex((rooms) => rooms.includes(room));
  return imports
    .filter(({ from, to }) => {
      const [above, below] = [roomOf(from), roomOf(to)];
      expect(floorOf(above), `${from}: a room nobody knows`).toBeGreaterThanOrEqual(0);
      expect(floorOf(below), `${to}: a room nobody knows`).toBeGreaterThanOrEqual(0);
      return above !== below && floorOf(below) >= floorOf(above);
    })
    .map(({ from, to }) => `${from} imports ${to}`);
}

describe('the house', () => {
  it('TypeScript imports point downwards', () => {
    const pattern = /(?:from|import)\s+'(\.[^']+)'/g;
    const resolve = (from: string, to: string) => path.join(path.dirname(from), to);
    const imports = ['lib', 'bench'].flatMap((folder) => edges(folder, /\.ts$/, pattern, resolve));
    const roomOf = (name: string) => {
      const [top, next = ''] = name.split(path.sep);
      return top === 'lib' ? next.replace(/\.[jt]s$/, '') : top!;
    };
    // The ground floor's files know each other, without cycles: a cycle there would not load.
    const ground = new Set(TYPESCRIPT_FLOORS[0]);
    const above = imports.filter(
      ({ from, to }) => !(ground.has(roomOf(from)) && ground.has(roomOf(to))),
    );
    expect(imports.length).toBeGreaterThan(20);
    expect(forbidden(TYPESCRIPT_FLOORS, roomOf, above)).toEqual([]);
  });

  it('native includes point downwards, and only node/ knows N-API', () => {
    const pattern = /#include "([^"]+)"/g;
    const imports = edges('native', /\.(cc|h)$/, pattern, (_, to) => path.join('native', to));
    const roomOf = (name: string) => name.split(path.sep)[1]!;
    expect(imports.length).toBeGreaterThan(20);
    expect(forbidden(NATIVE_FLOORS, roomOf, imports)).toEqual([]);
    const strangers = files('native', /\.(cc|h)$/)
      .filter((name) => /#include <(napi|node_api|uv)/.test(read(name)))
      .filter((name) => roomOf(name) !== 'node');
    expect(strangers).toEqual([]);
  });

  it.each(['native', 'test/native'])(
    'the lists of sources in %s name exactly those there are',
    (folder) => {
      // Those of one instruction set have a list of their own, sources-<set>.txt.
      const lists = readdirSync(path.join(root, folder)).filter((name) =>
        /^sources.*\.txt$/.test(name),
      );
      const listed = lists.flatMap((name) =>
        read(path.join(folder, name)).split('\n').filter(Boolean),
      );
      expect(listed.toSorted()).toEqual(files(folder, /\.cc$/).toSorted());
    },
  );

  it('no source file is too long to hold one idea', () => {
    const long = [
      ...files('lib', /\.ts$/),
      ...files('bench', /\.ts$/),
      ...files('native', /\.(cc|h)$/),
    ]
      .map((name) => ({ name, lines: read(name).split('\n').length }))
      .filter(({ lines }) => lines > 500);
    expect(long).toEqual([]);
  });

  it('the addon is loaded in one place', () => {
    const loaders = files('lib', /\.ts$/).filter((name) => read(name).includes('node-gyp-build'));
    expect(loaders).toEqual([path.join('lib', 'native.ts')]);
  });
});
