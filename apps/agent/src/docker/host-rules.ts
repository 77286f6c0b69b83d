import { execFile } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import net from 'node:net';
import { networkInterfaces } from 'node:os';
import { bridgeName, digest } from './network.js';
import { chainRules, inputRules, jumpRule, type RuleInput } from './rule-set.js';

const COMMAND_MS = 10_000;
const LOCK_SECONDS = '5';
const USER_CHAIN = 'DOCKER-USER';
const RESOLV_CONF = '/etc/resolv.conf';

/**
 * The firewall rules of this node's instances. In a chain of its own behind `DOCKER-USER` for what is forwarded, and in `INPUT` for
 * what is addressed to this machine, which `DOCKER-USER` never sees. All carry a comment with the node's id.
 */
export class HostRules {
  private readonly chain: string;
  private readonly comment: string;
  private readonly bridge: string;
  private protectedAddresses: readonly string[] = [];
  private applied = false;

  constructor(node: string) {
    this.chain = `KILN-${digest(node)}`;
    this.comment = `kiln:${node}`;
    this.bridge = bridgeName(node);
  }

  /**
   * Sets the rules, whatever is there of them already.
   * @throws Error with a reason in words where this process may not or cannot
   */
  async apply(): Promise<void> {
    this.check();
    await this.fillChain();
    await this.removeJumps();
    await iptables('-I', USER_CHAIN, '1', ...jumpRule(this.input()));
    // The last inserted comes first.
    for (const rule of inputRules(this.input(), ownAddresses()).toReversed()) await iptables('-I', 'INPUT', '1', ...rule);
    this.applied = true;
  }

  /** Instances may not reach these either. Replaces the earlier list in one step. */
  async protect(addresses: readonly string[]): Promise<void> {
    const sorted = [...new Set(addresses)].filter((address) => net.isIPv4(address)).sort();
    if (sorted.join() === this.protectedAddresses.join()) return;
    this.protectedAddresses = sorted;
    if (this.applied) await this.fillChain();
  }

  /** Takes out every rule of this node, also those of an earlier life. */
  async remove(): Promise<void> {
    if (process.getuid?.() !== 0) return;
    this.applied = false;
    await this.removeJumps();
    await quietly('-F', this.chain);
    await quietly('-X', this.chain);
  }

  private check(): void {
    if (process.getuid?.() !== 0) throw new Error('the agent does not run as root');
    if (!existsSync(`/sys/class/net/${this.bridge}`)) throw new Error('the engine’s networks are not in the agent’s network namespace');
  }

  private input(): RuleInput {
    const { chain, bridge, comment, protectedAddresses } = this;
    return { chain, bridge, comment, protectedAddresses, resolvers: resolvers() };
  }

  // One transaction: at no moment is the chain empty.
  private async fillChain(): Promise<void> {
    const lines = ['*filter', `:${this.chain} - [0:0]`, ...chainRules(this.input()), 'COMMIT', ''];
    await run('iptables-restore', ['-w', LOCK_SECONDS, '--noflush'], lines.join('\n'));
  }

  private async removeJumps(): Promise<void> {
    for (const chain of [USER_CHAIN, 'INPUT']) {
      const rules = await iptables('-S', chain).catch(() => '');
      for (const rule of rules.split('\n')) {
        const words = rule.split(' ');
        const at = words.indexOf('--comment');
        if (words[0] !== '-A' || words[at + 1]?.replaceAll('"', '') !== this.comment) continue;
        await iptables('-D', ...words.slice(1).map((word) => word.replaceAll('"', '')));
      }
    }
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

function iptables(...args: string[]): Promise<string> {
  return run('iptables', ['-w', LOCK_SECONDS, ...args]);
}

async function quietly(...args: string[]): Promise<void> {
  await iptables(...args).catch(() => undefined);
}

function run(command: string, args: string[], input = ''): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = execFile(command, args, { timeout: COMMAND_MS, maxBuffer: 4 * 1024 * 1024 }, (error, stdout, stderr) => {
      if (error === null) resolve(stdout);
      else if (error.code === 'ENOENT') reject(new Error(`there is no ${command} on this machine`));
      else reject(new Error(`${command} ${args.join(' ')}: ${stderr.trim() || error.message}`));
    });
    child.stdin?.on('error', () => undefined);
    child.stdin?.end(input);
  });
}
