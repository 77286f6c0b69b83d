/** The input for the rules of a node. */
export interface RuleInput {
  /** Name of the chain, different for each agent on a machine. */
  chain: string;
  bridge: string;
  comment: string;
  /** Name servers that the engine asks from the containers' network, without loopback addresses. */
  resolvers: readonly string[];
  /** IPv4 addresses of other nodes and of the store, closed to functions. */
  protectedAddresses: readonly string[];
}

/** All rules of a node for one address family. */
export interface RuleSet {
  comment: string;
  bridge: string;
  /** The node's own chain and its content. */
  chain: { name: string; rules: readonly string[] } | undefined;
  /** Rules at the start of chains that are not the node's own, in order. */
  heads: readonly { chain: string; rules: readonly string[] }[];
}

export const USER_CHAIN = 'DOCKER-USER';
/** Matches the instance bridges of all agents. */
const ALL_BRIDGES = 'fn+';

/** Rules for IPv4, by which instances reach the internet. */
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

/** Rules for IPv6, which instances do not have: no packet of it leaves their bridge. */
export function rulesOfIpv6({ comment, bridge }: RuleInput): RuleSet {
  const rules = [`-i ${bridge} -m comment --comment ${comment} -j REJECT --reject-with icmp6-port-unreachable`];
  return { comment, bridge, chain: undefined, heads: ['FORWARD', 'INPUT'].map((chain) => ({ chain, rules })) };
}

/** The node's own chain, for packets from its instances to another machine or network. */
export function chainRules({ chain, comment, resolvers, protectedAddresses }: RuleInput): string[] {
  const reject = ['-j', 'REJECT', '--reject-with', 'icmp-port-unreachable'];
  const rules: string[][] = [
    ['-m', 'conntrack', '--ctstate', 'RELATED,ESTABLISHED', '-j', 'RETURN'],
    ...resolvers.flatMap((address) => ['udp', 'tcp'].map((protocol) => ['-d', address, '-p', protocol, '--dport', '53', '-j', 'RETURN'])),
    // Packets to a published port of this machine, whoever owns the container behind it.
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

/** Rejects connections from instances to this machine itself, on any of its addresses: agents, routers, Redis, the engine. */
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
