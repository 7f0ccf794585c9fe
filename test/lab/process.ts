/** Running host programs from tests: captured output, a time limit, and no survivors. */

/** What a finished program left behind. */
export interface Finished {
  exitCode: number;
  stdout: string;
  stderr: string;
}

/** Options of {@link run}. */
export interface RunOptions {
  cwd?: string;
  /** Added to the inherited environment. */
  env?: Record<string, string>;
  /** Milliseconds until the program is killed; 120 000 unless told. */
  timeoutMs?: number;
}

/** Runs a program to its end. Does not throw for a non-zero exit; throws if it cannot be started at all. */
export async function run(argv: readonly string[], options: RunOptions = {}): Promise<Finished> {
  const child = Bun.spawn([...argv], {
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
    env: { ...process.env, LC_ALL: "C", ...options.env },
    timeout: options.timeoutMs ?? 120_000,
    killSignal: "SIGKILL",
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
  });
  const [stdout, stderr, exitCode] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  return { exitCode, stdout, stderr };
}

/** Like {@link run}, but returns only stdout and throws an Error with the program's stderr if it failed. */
export async function mustRun(argv: readonly string[], options: RunOptions = {}): Promise<string> {
  const { exitCode, stdout, stderr } = await run(argv, options);
  if (exitCode !== 0) {
    throw new Error(`${argv.join(" ")}\nexited with ${exitCode}: ${stderr.trim() || stdout.trim()}`);
  }
  return stdout;
}

/**
 * Prefix for long-lived children: the kernel kills them when the test process is gone, even if that was killed itself
 * and no handler of ours ran (prctl(2), PR_SET_PDEATHSIG).
 */
export const dieWithParent: readonly string[] = ["setpriv", "--pdeathsig", "KILL"];

/** Prefix for agents: Bun has raised this process's limit of open files, which service managers do not. */
export const usualFileLimit: readonly string[] = ["prlimit", "--nofile=1024:"];

/** Polls `probe` until it gives a value other than undefined. Throws `describe()` when `timeoutMs` have passed. */
export async function waitFor<T>(
  probe: () => T | undefined | Promise<T | undefined>,
  timeoutMs: number,
  describe: () => string | Promise<string>,
  intervalMs = 25,
): Promise<T> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const value = await probe();
    if (value !== undefined) return value;
    if (performance.now() > deadline) throw new Error(await describe());
    await Bun.sleep(intervalMs);
  }
}

/** Rejects with `describe()` unless `promise` settles within `timeoutMs`. */
export async function within<T>(
  promise: Promise<T>,
  timeoutMs: number,
  describe: () => string | Promise<string>,
): Promise<T> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(async () => late.reject(new Error(await describe())), timeoutMs);
  try {
    return await Promise.race([promise, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}
