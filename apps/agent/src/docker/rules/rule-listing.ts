import { type RuleSet, USER_CHAIN } from './rule-set.js';

/** Targets that let nothing pass. */
const HARMLESS_TARGETS = new Set(['DROP', 'REJECT', 'LOG', 'NFLOG']);
const OLD_CONNECTIONS = /^(RELATED|ESTABLISHED)(,(RELATED|ESTABLISHED))*$/;

/** The filter table, as `iptables -S` lists it. */
export class RuleListing {
  private readonly chains = new Set<string>();
  private readonly rules = new Map<string, string[]>();

  constructor(text: string) {
    for (const line of text.split('\n')) {
      const [kind, chain] = line.split(' ');
      if (chain === undefined) continue;
      if (kind === '-N' || kind === '-P') this.chains.add(chain);
      if (kind === '-A') this.rules.set(chain, [...this.of(chain), line]);
    }
  }

  /** The rules of a node, in all chains. */
  own({ comment }: RuleSet): string[] {
    return [...this.rules.values()].flat().filter((line) => isOwn(line, comment));
  }

  /** True where, in every chain, packets of the node's bridge reach its rules before another rule may accept them. */
  reaches(set: RuleSet): boolean {
    const chains = set.heads.map(({ chain }) => chain);
    const reachesForwarded = () => !chains.includes(USER_CHAIN) || this.reachesUserChain(set) || this.isFirst('FORWARD', set);
    return chains.every((chain) => this.isFirst(chain, set)) && reachesForwarded();
  }

  /**
   * The input for `iptables-restore` that changes this state to the wanted one in one transaction: at no moment is a rule missing that
   * existed before, and no accepting rule exists without the rejecting ones.
   */
  transaction(set: RuleSet): string {
    const { chain } = set;
    const outside = this.own(set).filter((line) => chainOf(line) !== chain?.name);
    const lines = ['*filter'];
    if (set.heads.some((head) => head.chain === USER_CHAIN) && !this.chains.has(USER_CHAIN)) lines.push(`-N ${USER_CHAIN}`);
    // Flushes the chain; the next lines fill it again.
    if (chain !== undefined) lines.push(`:${chain.name} - [0:0]`, ...chain.rules);
    lines.push(...outside.map((line) => line.replace('-A', '-D')));
    // The rule that is inserted last comes first.
    for (const head of this.heads(set)) lines.push(...head.rules.toReversed().map((rule) => `-I ${head.chain} 1 ${rule}`));
    return [...lines, 'COMMIT', ''].join('\n');
  }

  /** The number of the node's rules after that transaction. */
  count(set: RuleSet): number {
    return (set.chain?.rules.length ?? 0) + this.heads(set).reduce((sum, { rules }) => sum + rules.length, 0);
  }

  /** Adds a jump from `FORWARD` where packets do not reach the engine's chain for user rules, as after a flush of `FORWARD`. */
  private heads(set: RuleSet): RuleSet['heads'] {
    const jump = set.heads.find(({ chain }) => chain === USER_CHAIN);
    const forwards = jump === undefined || this.reachesUserChain(set);
    return forwards ? set.heads : [...set.heads, { chain: 'FORWARD', rules: jump.rules }];
  }

  private reachesUserChain(set: RuleSet): boolean {
    for (const line of this.of('FORWARD')) {
      if (line === `-A FORWARD -j ${USER_CHAIN}`) return true;
      if (!isOwn(line, set.comment) && mayLetPass(line, set.bridge)) return false;
    }
    return false;
  }

  private isFirst(chain: string, { comment, bridge }: RuleSet): boolean {
    const lines = this.of(chain);
    const last = lines.findLastIndex((line) => isOwn(line, comment));
    return last !== -1 && !lines.slice(0, last).some((line) => !isOwn(line, comment) && mayLetPass(line, bridge));
  }

  private of(chain: string): string[] {
    return this.rules.get(chain) ?? [];
  }
}

function chainOf(line: string): string | undefined {
  return line.split(' ')[1];
}

function isOwn(line: string, comment: string): boolean {
  const words = line.split(' ');
  return words[words.indexOf('--comment') + 1]?.replaceAll('"', '') === comment;
}

/** Whether a foreign rule could accept a new connection from the bridge before our rules see it. */
function mayLetPass(line: string, bridge: string): boolean {
  const words = line.split(' ');
  const after = (option: string) => (words.includes(option) ? words[words.indexOf(option) + 1] : undefined);
  if (HARMLESS_TARGETS.has(after('-j') ?? '')) return false;
  const source = after('-i');
  if (source !== undefined && words[words.indexOf('-i') - 1] !== '!' && !matches(source, bridge)) return false;
  const states = after('--ctstate');
  return states === undefined || words[words.indexOf('--ctstate') - 1] === '!' || !OLD_CONNECTIONS.test(states);
}

function matches(pattern: string, bridge: string): boolean {
  return pattern.endsWith('+') ? bridge.startsWith(pattern.slice(0, -1)) : pattern === bridge;
}
