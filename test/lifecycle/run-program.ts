// Runs one of the small programs beside the tests in a process of its own, where it may crash, hang or be killed without
// taking the test along.

import { spawn, type ChildProcess } from 'node:child_process';
import path from 'node:path';

const root = path.join(import.meta.dirname, '..', '..');

/** What the programs `require`: the package, as it was built. */
export const packagePath = path.join(root, 'dist', 'lib', 'index.js');

export interface ProgramEnd {
  readonly code: number | null;
  /** `SIGABRT` or `SIGSEGV` is a crash. */
  readonly signal: NodeJS.Signals | null;
  /** It did not end by itself in time. */
  readonly hung: boolean;
  readonly stdout: string;
  readonly stderr: string;
}

export interface ProgramOptions {
  /** Options of node itself. */
  readonly node?: readonly string[];
  readonly args?: readonly string[];
  /** A command in front of node, with its arguments. */
  readonly under?: readonly string[];
  readonly env?: NodeJS.ProcessEnv;
  /** After which a program that has not ended is killed: how long is too long, not how long it takes. */
  readonly limitMs?: number;
  /** Called with the process once it runs, and with all of its output whenever there is more of it. */
  readonly onStart?: (child: ChildProcess) => void;
  readonly onOutput?: (stdout: string, child: ChildProcess) => void;
}

/** `program` is a path from the folder test/, or an absolute one. Its first argument is the package's path. */
export function runProgram(program: string, options: ProgramOptions = {}): Promise<ProgramEnd> {
  const script = path.resolve(root, 'test', program);
  const [command, ...args] = [
    ...(options.under ?? []),
    process.execPath,
    ...(options.node ?? []),
    script,
    packagePath,
    ...(options.args ?? []),
  ];
  // Not vitest's own options and loaders: the program is plain Node.
  return new Promise((resolve, reject) => {
    const child = spawn(command!, args, {
      stdio: ['pipe', 'pipe', 'pipe'],
      env: { ...process.env, NODE_OPTIONS: '', ...options.env },
    });
    let [stdout, stderr, hung] = ['', '', false];
    const limit = setTimeout(() => {
      hung = true;
      child.kill('SIGKILL');
    }, options.limitMs ?? 20_000);
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text;
      options.onOutput?.(stdout, child);
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
    child.stdin.on('error', () => undefined); // it ended before it was told something
    child.on('error', reject);
    child.on('close', (code, signal) => {
      clearTimeout(limit);
      resolve({ code, signal, hung, stdout, stderr });
    });
    options.onStart?.(child);
  });
}

/** Runs a program that must end well, and returns what it printed: JSON. */
export async function runForJson<T>(program: string, options: ProgramOptions = {}): Promise<T> {
  const end = await runProgram(program, options);
  if (end.code === 0) return JSON.parse(end.stdout) as T;
  const how = end.hung ? 'hung' : `ended with ${String(end.signal ?? end.code)}`;
  throw new Error(`${program} ${how}\n${end.stdout}\n${end.stderr}`);
}
