import { existsSync, readFileSync } from 'node:fs';
import net from 'node:net';
import { networkInterfaces } from 'node:os';
import { Refusal } from '@kiln/instances/port/refusal';
import { bridgeName, digest } from './network.js';
import { HostRules } from './rules/host-rules.js';
import { FirewallBusy } from './rules/iptables.js';
import { type RuleInput, rulesOfIpv4, rulesOfIpv6 } from './rules/rule-set.js';

const EVERY_MS = 3000;
const AFTER_FAULT_MS = 1000;
/** Rules that were seen to stand are taken to stand for so long, while the programs are busy. */
const BUSY_MS = 30_000;
const RESOLV_CONF = '/etc/resolv.conf';

export interface FirewallOptions {
  node: string;
  /** No instance is started while rules are missing that this agent could set. */
  required: boolean;
  onTrouble(message: string): void;
}

/**
 * The firewall rules of this node's instances. Looked after for as long as the node lives: another program may flush them at any
 * moment, and what cannot be set now may be possible a moment later.
 */
export class Firewall {
  private readonly ipv4 = new HostRules('iptables');
  private readonly ipv6 = new HostRules('ip6tables');
  private protectedAddresses: readonly string[] = [];
  /** Why they do not stand; undefined where they do. */
  private fault: string | undefined;
  private stoodAt: number | undefined;
  private working: Promise<void> | undefined;
  private again = false;
  private timer: NodeJS.Timeout | undefined;
  private closed = false;

  constructor(private readonly options: FirewallOptions) {}

  /** Sets the rules, and goes on to look after them. Never rejects: `warning` says what is wrong. */
  async open(): Promise<void> {
    await this.ensure();
  }

  /** What everybody who asks for this node's state must know. */
  get warning(): string | undefined {
    if (this.fault === undefined) return undefined;
    const open = `functions on this node can reach the host’s own addresses and 169.254.169.254: no firewall rules (${this.fault})`;
    return this.refuses ? `${open}; it starts no instance until they stand again` : open;
  }

  /** @throws Refusal where no instance may start now */
  admit(): void {
    if (this.fault === undefined || !this.refuses) return;
    throw new Refusal('no_capacity', `the node starts nothing while its firewall rules are missing: ${this.fault}`, {
      fix: 'kiln doctor shows what is wrong with each node',
    });
  }

  /** Checks the rules and sets them where they are not as they should be; once more where it is doing so at this moment. Never rejects. */
  ensure(): Promise<void> {
    if (this.closed) return Promise.resolve();
    if (this.working !== undefined) {
      this.again = true;
      return this.working;
    }
    clearTimeout(this.timer);
    this.working = this.work().finally(() => {
      this.working = undefined;
      if (this.closed) return;
      this.timer = setTimeout(() => void this.ensure(), this.fault === undefined ? EVERY_MS : AFTER_FAULT_MS);
      this.timer.unref();
    });
    return this.working;
  }

  /** Instances may not reach these either. Replaces the earlier list in one step. Never rejects. */
  protect(addresses: readonly string[]): Promise<void> {
    const sorted = [...new Set(addresses)].filter((address) => net.isIPv4(address)).sort();
    if (sorted.join() === this.protectedAddresses.join()) return Promise.resolve();
    this.protectedAddresses = sorted;
    return this.ensure();
  }

  /** Takes out every rule of this node, also those of an earlier life. */
  async remove(): Promise<void> {
    this.closed = true;
    clearTimeout(this.timer);
    await this.working;
    if (process.getuid?.() !== 0) return;
    await this.ipv4.remove(rulesOfIpv4(this.input(), []));
    if (existsSync('/proc/sys/net/ipv6')) await this.ipv6.remove(rulesOfIpv6(this.input()));
  }

  /** Where this agent may not set rules at all, by how it was set up, functions run without. */
  private get refuses(): boolean {
    return this.options.required && this.impossible === undefined;
  }

  private get impossible(): string | undefined {
    if (process.getuid?.() !== 0) return 'the agent does not run as root';
    const isElsewhere = this.stoodAt === undefined && !seesInterface(this.bridge);
    return isElsewhere ? 'the engine’s networks are not in the agent’s network namespace' : undefined;
  }

  private async work(): Promise<void> {
    do {
      this.again = false;
      await this.workOnce();
    } while (this.again && !this.closed);
  }

  private async workOnce(): Promise<void> {
    if (this.impossible !== undefined) return this.settle(this.impossible);
    try {
      const input = this.input();
      const repaired = await this.ipv4.ensure(rulesOfIpv4(input, ownAddresses()));
      const repairedToo = this.hasIpv6() && (await this.ipv6.ensure(rulesOfIpv6(input)));
      if (repaired || repairedToo)
        this.options.onTrouble('firewall rules of this node had been changed by another program; they are set again');
      this.stoodAt = performance.now();
      this.settle(undefined);
    } catch (error) {
      const { message } = error as Error;
      const knownToStand = this.fault === undefined && this.stoodAt !== undefined && performance.now() - this.stoodAt < BUSY_MS;
      if (!(error instanceof FirewallBusy && knownToStand)) this.settle(message);
    }
  }

  /** Said once for each change. */
  private settle(fault: string | undefined): void {
    const before = this.fault;
    this.fault = fault;
    if (fault !== undefined && before === undefined) this.options.onTrouble(this.warning ?? fault);
    if (fault === undefined && before !== undefined) this.options.onTrouble('the firewall rules of this node stand again');
  }

  private input(): RuleInput {
    const { node } = this.options;
    const { protectedAddresses, bridge } = this;
    return { chain: `KILN-${digest(node)}`, bridge, comment: `kiln:${node}`, protectedAddresses, resolvers: resolvers() };
  }

  private get bridge(): string {
    return bridgeName(this.options.node);
  }

  /** Whether the kernel would take IPv6 from the node's bridge at all. */
  private hasIpv6(): boolean {
    try {
      return readFileSync(`/proc/sys/net/ipv6/conf/${this.bridge}/disable_ipv6`, 'utf8').trim() !== '1';
    } catch {
      return false;
    }
  }
}

/** Whether it is in this process's network namespace; `/sys` shows that of whoever mounted it. */
function seesInterface(name: string): boolean {
  try {
    return readFileSync('/proc/self/net/dev', 'utf8')
      .split('\n')
      .some((line) => line.trimStart().startsWith(`${name}:`));
  } catch {
    return false;
  }
}

/** IPv4 addresses of this machine, loopback left out. */
function ownAddresses(): string[] {
  return Object.values(networkInterfaces())
    .flatMap((addresses) => addresses ?? [])
    .filter(({ family, internal }) => family === 'IPv4' && !internal)
    .map(({ address }) => address);
}

function resolvers(): string[] {
  const lines = existsSync(RESOLV_CONF) ? readFileSync(RESOLV_CONF, 'utf8').split('\n') : [];
  return lines
    .map((line) => /^nameserver\s+(\S+)/.exec(line)?.[1] ?? '')
    .filter((address) => net.isIPv4(address) && !address.startsWith('127.'));
}
