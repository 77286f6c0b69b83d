import { existsSync, readFileSync } from 'node:fs';
import net from 'node:net';
import { networkInterfaces } from 'node:os';
import { Refusal } from '@kiln/instances/port/refusal';
import { SingleFlight } from '@kiln/state/store/single-flight';
import { bridgeName, digest } from './network.js';
import { HostRules } from './rules/host-rules.js';
import { FirewallBusy } from './rules/iptables.js';
import { type RuleInput, rulesOfIpv4, rulesOfIpv6 } from './rules/rule-set.js';

const EVERY_MS = 3000;
const AFTER_FAULT_MS = 1000;
/** While iptables is busy, rules that were complete count as complete for so long. */
const BUSY_MS = 30_000;
const RESOLV_CONF = '/etc/resolv.conf';

export interface FirewallOptions {
  node: string;
  /** No instance is started while rules are missing that this agent could set. */
  required: boolean;
  onTrouble(message: string, keys?: object): void;
}

/** The firewall rules of this node's instances, checked as long as it lives: another program may flush them at any moment. */
export class Firewall {
  private readonly ipv4 = new HostRules('iptables');
  private readonly ipv6 = new HostRules('ip6tables');
  private protectedAddresses: readonly string[] = [];
  /** Why the rules are incomplete; undefined where they are complete. */
  private fault: string | undefined;
  private completeAt: number | undefined;
  private readonly passes = new SingleFlight(() => this.pass());
  private timer: NodeJS.Timeout | undefined;
  private closed = false;

  constructor(private readonly options: FirewallOptions) {}

  /** The fault of the rules, for the node's warnings. */
  get warning(): string | undefined {
    if (this.fault === undefined) return undefined;
    const open = `functions on this node can reach the host’s own addresses and 169.254.169.254: no firewall rules (${this.fault})`;
    return this.refuses ? `${open}; it starts no instance until the rules are complete again` : open;
  }

  /** @throws Refusal where no instance may start now */
  admit(): void {
    if (this.fault === undefined || !this.refuses) return;
    throw new Refusal('no_capacity', `the node starts nothing while its firewall rules are missing: ${this.fault}`, {
      fix: 'kiln doctor shows what is wrong with each node',
    });
  }

  /** Sets or repairs the rules, and checks them from then on. One at a time, and one more. Never rejects: `warning` says what is wrong. */
  ensure(): Promise<void> {
    return this.passes.run();
  }

  /** Closes these addresses to instances, too. Replaces the earlier list in one step. Never rejects. */
  protect(addresses: readonly string[]): Promise<void> {
    const sorted = [...new Set(addresses)].filter((address) => net.isIPv4(address)).sort();
    if (sorted.join() === this.protectedAddresses.join()) return Promise.resolve();
    this.protectedAddresses = sorted;
    return this.ensure();
  }

  /** Removes every rule of this node, also those of an earlier run. */
  async remove(): Promise<void> {
    this.closed = true;
    clearTimeout(this.timer);
    await this.passes.run();
    if (process.getuid?.() !== 0) return;
    await this.ipv4.remove(rulesOfIpv4(this.input(), []));
    if (existsSync('/proc/sys/net/ipv6')) await this.ipv6.remove(rulesOfIpv6(this.input()));
  }

  /** False where this agent can't set rules at all: functions then run without them. */
  private get refuses(): boolean {
    return this.options.required && this.impossible === undefined;
  }

  private get impossible(): string | undefined {
    if (process.getuid?.() !== 0) return 'the agent does not run as root';
    const isElsewhere = this.completeAt === undefined && !seesInterface(this.bridge);
    return isElsewhere ? 'the engine’s networks are not in the agent’s network namespace' : undefined;
  }

  private async pass(): Promise<void> {
    clearTimeout(this.timer);
    if (this.closed) return;
    await this.check();
    if (!this.closed) this.timer = setTimeout(() => void this.ensure(), this.fault === undefined ? EVERY_MS : AFTER_FAULT_MS).unref();
  }

  private async check(): Promise<void> {
    if (this.impossible !== undefined) return this.settle(this.impossible);
    try {
      const input = this.input();
      const repaired = await this.ipv4.ensure(rulesOfIpv4(input, ownAddresses()));
      const repairedToo = this.hasIpv6() && (await this.ipv6.ensure(rulesOfIpv6(input)));
      if (repaired || repairedToo) this.options.onTrouble('firewall rules repaired: another program had changed them');
      this.completeAt = performance.now();
      this.settle(undefined);
    } catch (error) {
      const { message } = error as Error;
      const wereComplete = this.fault === undefined && this.completeAt !== undefined && performance.now() - this.completeAt < BUSY_MS;
      if (!(error instanceof FirewallBusy && wereComplete)) this.settle(message);
    }
  }

  /** Logs each change once. */
  private settle(fault: string | undefined): void {
    const before = this.fault;
    this.fault = fault;
    if (fault !== undefined && before === undefined) this.options.onTrouble(this.warning ?? fault);
    if (fault === undefined && before !== undefined) this.options.onTrouble('firewall rules are complete again');
  }

  private input(): RuleInput {
    const { node } = this.options;
    const { protectedAddresses, bridge } = this;
    return { chain: `KILN-${digest(node)}`, bridge, comment: `kiln:${node}`, protectedAddresses, resolvers: resolvers() };
  }

  private get bridge(): string {
    return bridgeName(this.options.node);
  }

  /** Whether IPv6 is on for the node's bridge. */
  private hasIpv6(): boolean {
    try {
      return readFileSync(`/proc/sys/net/ipv6/conf/${this.bridge}/disable_ipv6`, 'utf8').trim() !== '1';
    } catch {
      return false;
    }
  }
}

/** Whether the interface is in this process's network namespace; `/sys` may show another namespace. */
function seesInterface(name: string): boolean {
  try {
    return readFileSync('/proc/self/net/dev', 'utf8')
      .split('\n')
      .some((line) => line.trimStart().startsWith(`${name}:`));
  } catch {
    return false;
  }
}

/** IPv4 addresses of this machine, without loopback. */
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
