import { execFile } from 'node:child_process';

const COMMAND_MS = 10_000;
const LOCK_SECONDS = '5';
const LOCKED = 4;
const MAX_OUTPUT_BYTES = 16 * 1024 * 1024;

export type RuleProgram = 'iptables' | 'ip6tables';

/** Another program holds the lock of the rules, or the command timed out: the state of the rules is unknown. */
export class FirewallBusy extends Error {}

/** The filter table as commands. @throws Error with a reason for the user; FirewallBusy */
export function listRules(program: RuleProgram): Promise<string> {
  return run(program, ['-w', LOCK_SECONDS, '-S'], '');
}

/** All or nothing, in one step. @throws as `listRules` */
export async function restoreRules(program: RuleProgram, transaction: string): Promise<void> {
  await run(`${program}-restore`, ['-w', LOCK_SECONDS, '--noflush'], transaction);
}

/** @throws as `listRules` */
export async function changeRules(program: RuleProgram, ...args: string[]): Promise<void> {
  await run(program, ['-w', LOCK_SECONDS, ...args], '');
}

function run(command: string, args: string[], input: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = execFile(command, args, { timeout: COMMAND_MS, maxBuffer: MAX_OUTPUT_BYTES }, (error, stdout, stderr) => {
      if (error === null) return resolve(stdout);
      if (error.code === 'ENOENT') return reject(new Error(`there is no ${command} on this machine`));
      const reason = `${command} ${args.join(' ')}: ${stderr.trim() || error.message}`;
      reject(error.code === LOCKED || error.killed === true ? new FirewallBusy(reason) : new Error(reason));
    });
    child.stdin?.on('error', () => undefined);
    child.stdin?.end(input);
  });
}
