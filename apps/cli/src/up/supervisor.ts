import { Failure, Interrupted } from '../failure.js';
import type { Terminal } from '../output/terminal.js';
import { type Leftovers, removeLeftovers } from './leftovers.js';
import { type MemberHooks, type MemberSpec, SupervisedProcess } from './member.js';
import { Patience } from './patience.js';
import type { RunningFile } from './running-file.js';
import { waitUntil } from './wait.js';

const ROTATE_EVERY_MS = 5000;
const KILL_AFTER_DRAIN_MS = 5000;
const REDIS_STOP_MS = 10_000;

export interface SupervisorOptions {
  terminal: Terminal;
  running: RunningFile;
  /** Leftovers of this supervisor's agents. */
  leftovers: Leftovers;
  drainTimeoutMs: number;
}

interface Wait {
  patience: Patience;
  signal: AbortSignal;
}

/** Keeps the processes of one machine running, and stops them in order: router, agents, Redis. */
export class Supervisor {
  private readonly members: SupervisedProcess[] = [];
  private readonly dead = new Map<SupervisedProcess, string>();
  private up = false;
  private rotation: NodeJS.Timeout | undefined;

  constructor(private readonly options: SupervisorOptions) {}

  /**
   * Starts the members and waits until each is ready, in any order. Gives up `boundMs` after a member that is not ready last worked.
   * @throws Interrupted, or Failure with the last log lines of the member that ended or made no progress
   */
  async start(specs: readonly MemberSpec[], ready: (name: string) => Promise<boolean>, boundMs: number): Promise<void> {
    this.rotation ??= setInterval(() => this.rotateLogs(), ROTATE_EVERY_MS).unref();
    const started = specs.map((spec) => new SupervisedProcess(spec, this.hooks));
    this.members.push(...started);
    for (const member of started) member.start();
    const patience = new Patience(boundMs);
    const over = new AbortController();
    const signal = AbortSignal.any([this.options.terminal.interrupted, over.signal]);
    try {
      await Promise.all(started.map((member) => this.waitFor(member, ready, { patience, signal })));
    } finally {
      over.abort();
    }
  }

  private rotateLogs(): void {
    for (const { log } of this.members) log.rotate();
  }

  /** From now on, a member that ends is restarted; until now, it was a failed start. */
  nowUp(): void {
    this.up = true;
  }

  private async waitFor(member: SupervisedProcess, ready: (name: string) => Promise<boolean>, { patience, signal }: Wait): Promise<void> {
    const ask = () => {
      const how = this.dead.get(member);
      if (how !== undefined) throw startFailure(member, `ended during its start (${how})`);
      patience.saw(member.name, member.work);
      return ready(member.name);
    };
    const isReady = await waitUntil(ask, () => patience.isOver, signal);
    if (signal.aborted) throw new Interrupted();
    if (!isReady) throw startFailure(member, 'did not start in time');
    this.options.terminal.say(`${member.title} is up`);
  }

  private readonly hooks: MemberHooks = {
    spawned: (member, pid) => this.options.running.setChild(member.name, pid),
    died: (member, how, againInMs) => {
      if (!this.up) this.dead.set(member, how);
      else
        this.options.terminal.sayProse(`${member.title} ended (${how}); restarting it in ${againInMs} ms; see its log ${member.log.path}`);
    },
  };

  /** Stops all members, each within a bound, and removes what killed agents left on the engine. */
  async stop(): Promise<void> {
    clearInterval(this.rotation);
    if (this.members.length === 0) return;
    const { terminal, drainTimeoutMs } = this.options;
    terminal.say('stopping');
    const killAll = () => {
      for (const member of this.members) member.kill();
    };
    if (terminal.insisted.aborted) killAll();
    terminal.insisted.addEventListener('abort', killAll, { once: true });
    const boundMs = drainTimeoutMs + KILL_AFTER_DRAIN_MS;
    const isAgent = (member: SupervisedProcess) => this.options.leftovers.nodeIds.includes(member.name);
    await this.stopEach((member) => member.name === 'router', boundMs);
    await this.stopEach(isAgent, boundMs);
    await this.stopEach((member) => member.name === 'redis', REDIS_STOP_MS);
    if (this.members.some(isAgent)) await removeLeftovers(this.options.leftovers, terminal);
    terminal.say('stopped');
  }

  private async stopEach(which: (member: SupervisedProcess) => boolean, boundMs: number): Promise<void> {
    await Promise.all(
      this.members.filter(which).map(async (member) => {
        const how = await member.stop(boundMs);
        if (how === 'killed') this.options.terminal.say(`${member.title} did not end in time and was killed`);
      }),
    );
  }
}

function startFailure({ title, log, spec }: SupervisedProcess, what: string): Failure {
  const lines = log.tail();
  const shown = lines === '' ? 'It wrote nothing.' : `Its last lines:\n${lines.replace(/^/gm, '  | ')}`;
  const missing = spec.command === 'redis-server' && what.includes('ENOENT');
  if (missing)
    return new Failure(
      'there is no redis-server on this machine',
      'install it (apt-get install redis-server), or set KILN_REDIS_URL to a running Redis',
    );
  return new Failure(
    `${title} ${what}. ${shown}`,
    `correct the cause and run kiln up again; see the whole log: ${log.path}; kiln doctor checks this machine`,
  );
}
