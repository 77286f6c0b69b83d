/** What the rules are made from. */
export interface RuleInput {
  /** Names the chain, so that two agents on one machine never touch each other's. */
  chain: string;
  bridge: string;
  comment: string;
  /** Servers that the engine's name resolution asks from the containers' network, loopback ones left out. */
  resolvers: readonly string[];
  /** IPv4 addresses of other nodes and of the store: no function may reach them. */
  protectedAddresses: readonly string[];
}

/** All rules of a node for one family of addresses. */
export interface RuleSet {
  comment: string;
  bridge: string;
  /** The node's own chain and its content. */
  chain: { name: string; rules: readonly string[] } | undefined;
  /** Rules at the head of chains that are not the node's own, in the order in which they stand there. */
  heads: readonly { chain: string; rules: readonly string[] }[];
}

export const USER_CHAIN = 'DOCKER-USER';
/** Beginnings of the names of all instance bridges, any agent's. */
const ALL_BRIDGES = 'fn+';

/** For IPv4, by which instances reach the internet. */
export function rulesOfIpv4(input: RuleInput, ownAddresses: readonly string[]): RuleSet {
  const { comment, bridge, chain } = input;
  return {
    comment,
    bridge,
    chain: { name: chain, rules: chainRules(input) },
    heads: [
      { chain: USER_CHAIN, rules: [jumpRule(input).join(' ')] },
      { chain: 'INPUT', rules: inputRules(input, ownAddresses).map((rule) => rule.join(' ')) },
    ],
  };
}

/** For IPv6, which instances have not: nothing of it leaves their bridge. */
export function rulesOfIpv6({ comment, bridge }: RuleInput): RuleSet {
  const rules = [`-i ${bridge} -m comment --comment ${comment} -j REJECT --reject-with icmp6-port-unreachable`];
  return { comment, bridge, chain: undefined, heads: ['FORWARD', 'INPUT'].map((chain) => ({ chain, rules })) };
}

/** The content of the node's own chain, which everything passes that leaves its instances for another machine or network. */
export function chainRules({ chain, comment, resolvers, protectedAddresses }: RuleInput): string[] {
  const reject = ['-j', 'REJECT', '--reject-with', 'icmp-port-unreachable'];
  const rules: string[][] = [
    ['-m', 'conntrack', '--ctstate', 'RELATED,ESTABLISHED', '-j', 'RETURN'],
    ...resolvers.flatMap((address) => ['udp', 'tcp'].map((protocol) => ['-d', address, '-p', protocol, '--dport', '53', '-j', 'RETURN'])),
    // What was addressed to a published port of this machine, whoever's container is behind it.
    ['-m', 'conntrack', '--ctstate', 'DNAT', ...reject],
    ['-o', ALL_BRIDGES, ...reject],
    ['-d', '169.254.0.0/16', ...reject],
    ...protectedAddresses.map((address) => ['-d', address, ...reject]),
  ];
  return rules.map((rule) => ['-A', chain, '-m', 'comment', '--comment', comment, ...rule].join(' '));
}

/** The jump into that chain. */
export function jumpRule({ chain, bridge, comment }: RuleInput): string[] {
  return ['-i', bridge, '-m', 'comment', '--comment', comment, '-j', chain];
}

/** Everything that instances open to this machine itself: its agents, routers, Redis, engine, any of its addresses. */
export function inputRules({ bridge, comment, resolvers }: RuleInput, ownAddresses: readonly string[]): string[][] {
  const tag = ['-m', 'comment', '--comment', comment];
  const own = resolvers.filter((address) => ownAddresses.includes(address));
  return [
    ...own.flatMap((address) =>
      ['udp', 'tcp'].map((protocol) => ['-i', bridge, '-d', address, '-p', protocol, '--dport', '53', ...tag, '-j', 'ACCEPT']),
    ),
    ['-i', bridge, '-m', 'conntrack', '--ctstate', 'NEW', ...tag, '-j', 'REJECT', '--reject-with', 'icmp-port-unreachable'],
  ];
}
