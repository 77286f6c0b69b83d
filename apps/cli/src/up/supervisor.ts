import { setTimeout as delay } from 'node:timers/promises';
import { Failure, Interrupted } from '../failure.js';
import type { Terminal } from '../output/terminal.js';
import { type Leftovers, removeLeftovers } from './leftovers.js';
import { type MemberHooks, type MemberSpec, SupervisedProcess } from './member.js';
import { Patience } from './patience.js';
import type { RunningFile } from './running-file.js';

const ASK_EVERY_MS = 100;
const ROTATE_EVERY_MS = 5000;
const KILL_AFTER_DRAIN_MS = 5000;
const REDIS_STOP_MS = 10_000;

type Ready = (name: string) => Promise<boolean>;

interface SupervisorOptions {
  terminal: Terminal;
  running: RunningFile;
  /** Leftovers of this supervisor's agents. */
  leftovers: Leftovers;
  drainTimeoutMs: number;
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
  async start(specs: readonly MemberSpec[], ready: Ready, boundMs: number): Promise<void> {
    const rotate = () => {
      for (const { log } of this.members) log.rotate();
    };
    this.rotation ??= setInterval(rotate, ROTATE_EVERY_MS).unref();
    const started = specs.map((spec) => new SupervisedProcess(spec, this.hooks));
    this.members.push(...started);
    for (const member of started) member.start();
    const patience = new Patience(boundMs);
    const over = new AbortController();
    const signal = AbortSignal.any([this.options.terminal.interrupted, over.signal]);
    try {
      await Promise.all(started.map((member) => this.waitFor(member, ready, patience, signal)));
    } finally {
      over.abort();
    }
  }

  /** From now on, a member that ends is restarted; until now, it was a failed start. */
  nowUp(): void {
    this.up = true;
  }

  private async waitFor(member: SupervisedProcess, ready: Ready, patience: Patience, signal: AbortSignal): Promise<void> {
    const { name, title } = member.spec;
    for (;;) {
      if (signal.aborted) throw new Interrupted();
      const how = this.dead.get(member);
      if (how !== undefined) throw startFailure(member, `ended during its start (${how})`);
      patience.saw(name, member.work);
      if (await ready(name)) break;
      if (patience.isOver && !signal.aborted) throw startFailure(member, 'did not start in time');
      await delay(ASK_EVERY_MS, undefined, { signal }).catch(() => {});
    }
    if (signal.aborted) throw new Interrupted();
    this.options.terminal.say(`${title} is up`);
  }

  private readonly hooks: MemberHooks = {
    spawned: ({ spec }, pid) => this.options.running.setChild(spec.name, pid),
    died: (member, how, againInMs) => {
      const { title, logFile } = member.spec;
      if (!this.up) this.dead.set(member, how);
      else this.options.terminal.sayProse(`${title} ended (${how}); restarting it in ${againInMs} ms; see its log ${logFile}`);
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
    const isAgent = (name: string) => this.options.leftovers.nodeIds.includes(name);
    await this.stopEach((name) => name === 'router', boundMs);
    await this.stopEach(isAgent, boundMs);
    await this.stopEach((name) => name === 'redis', REDIS_STOP_MS);
    if (this.members.some(({ spec }) => isAgent(spec.name))) await removeLeftovers(this.options.leftovers, terminal);
    terminal.say('stopped');
  }

  private async stopEach(which: (name: string) => boolean, boundMs: number): Promise<void> {
    const stop = async (member: SupervisedProcess) => {
      const how = await member.stop(boundMs);
      if (how === 'killed') this.options.terminal.say(`${member.spec.title} did not end in time and was killed`);
    };
    await Promise.all(this.members.filter(({ spec }) => which(spec.name)).map(stop));
  }
}

function startFailure({ log, spec }: SupervisedProcess, what: string): Failure {
  if (spec.command === 'redis-server' && what.includes('ENOENT')) {
    const fix = 'install it (apt-get install redis-server), or set KILN_REDIS_URL to a running Redis';
    return new Failure('there is no redis-server on this machine', fix);
  }
  const lines = log.tail();
  const shown = lines === '' ? 'It wrote nothing.' : `Its last lines:\n${lines.replace(/^/gm, '  | ')}`;
  const fix = `correct the cause and run kiln up again; see the whole log: ${log.path}; kiln doctor checks this machine`;
  return new Failure(`${spec.title} ${what}. ${shown}`, fix);
}
