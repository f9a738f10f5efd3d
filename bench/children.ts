// Starts the processes that measure, waits for them, and ends them: when they take too long, and all at once when the
// benchmark is interrupted.
//
// Each leads a process group of its own, for two reasons. fio forks, and killing fio alone would leave its job running on
// the target. And a Ctrl-C must reach this process only, which then ends the others in order.

import { fork, spawn, type ChildProcess } from 'node:child_process';
import path from 'node:path';
import type { Outcome, Task } from './protocol.js';

const MS_PER_S = 1000;

export interface ProgramResult {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

export class Children {
  readonly #running = new Set<ChildProcess>();

  /** Ends every process that is still running, at once. Synchronous: it is called on the way out. */
  killAll(): void {
    for (const child of this.#running) killGroup(child);
  }

  /**
   * Gives a task to a worker process of its own and waits until that has ended, so that the next one has the machine to
   * itself. `T` is what this kind of task answers with.
   */
  async runTask<T>(
    task: Task,
    env: Readonly<Record<string, string>>,
    timeoutSeconds: number,
  ): Promise<Outcome<T>> {
    const child = fork(path.join(__dirname, 'worker.js'), {
      env: { ...process.env, ...env },
      execArgv: [],
      detached: true,
      serialization: 'advanced', // JSON would lose undefined and typed arrays
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    });
    let answer: Outcome<T> | undefined;
    child.once('message', (message) => {
      answer = message as Outcome<T>;
    });
    child.send(task, () => {
      // A worker that died before it could listen shows by its end.
    });
    const ended = await this.#ended(child, timeoutSeconds);
    if (answer !== undefined) return answer;
    if (ended.status === 'failed') return ended;
    const { exitCode, stderr } = ended.value;
    return {
      status: 'failed',
      error: `the process ended with code ${exitCode}: ${lastWords(stderr)}`,
    };
  }

  /** Runs a program to its end. */
  runProgram(
    command: string,
    args: readonly string[],
    timeoutSeconds: number,
  ): Promise<Outcome<ProgramResult>> {
    const child = spawn(command, args, { detached: true, stdio: ['ignore', 'pipe', 'pipe'] });
    return this.#ended(child, timeoutSeconds);
  }

  #ended(child: ChildProcess, timeoutSeconds: number): Promise<Outcome<ProgramResult>> {
    this.#running.add(child);
    const stdout = collect(child.stdout);
    const stderr = collect(child.stderr);
    return new Promise((resolve) => {
      const fail = (error: string) => {
        resolve({ status: 'failed', error });
      };
      const timer = setTimeout(() => {
        killGroup(child);
        // Not waited for: what hangs in the kernel does not even die.
        fail(`no answer within ${timeoutSeconds.toFixed(0)} s`);
      }, timeoutSeconds * MS_PER_S);
      child.once('error', (error) => {
        clearTimeout(timer);
        this.#running.delete(child);
        fail(error.message);
      });
      // Not 'exit': output and messages may still be under way then.
      child.once('close', (exitCode, signal) => {
        clearTimeout(timer);
        this.#running.delete(child);
        if (exitCode === null)
          fail(`the process died of ${String(signal)}: ${lastWords(stderr())}`);
        else resolve({ status: 'ok', value: { exitCode, stdout: stdout(), stderr: stderr() } });
      });
    });
  }
}

function killGroup(child: ChildProcess): void {
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, 'SIGKILL');
  } catch {
    // It has ended by itself in the meantime.
  }
}

/** The text that a stream has given so far. */
function collect(stream: NodeJS.ReadableStream | null): () => string {
  const chunks: string[] = [];
  stream?.setEncoding('utf8').on('data', (chunk: string) => chunks.push(chunk));
  return () => chunks.join('');
}

/** What a program died of, on one line: the message of a Node error if there is one, else what it said last. */
export function lastWords(text: string): string {
  const lines = text.split('\n').filter((line) => line.trim() !== '');
  const thrown = lines.find((line) => /^\s*\w*Error\b.*: /.test(line));
  return thrown?.trim() ?? lines.slice(-3).join(' | ');
}
