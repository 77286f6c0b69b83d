import { describe, expect, it } from 'vitest';
import { RuleListing } from './rule-listing.js';
import { rulesOfIpv4, rulesOfIpv6 } from './rule-set.js';

const input = { chain: 'KILN-x', bridge: 'fnx', comment: 'kiln:n1', resolvers: [], protectedAddresses: [] };
const set = rulesOfIpv4(input, []);
const HEADS = ['-P INPUT ACCEPT', '-P FORWARD DROP', '-N DOCKER-USER', '-N KILN-x'];
const INPUT = '-A INPUT -i fnx -m conntrack --ctstate NEW -m comment --comment "kiln:n1" -j REJECT --reject-with icmp-port-unreachable';
const JUMP = '-A DOCKER-USER -i fnx -m comment --comment "kiln:n1" -j KILN-x';
const USER = '-A FORWARD -j DOCKER-USER';
const RETURN = '-A DOCKER-USER -j RETURN';

const listing = (...rules: string[]) => new RuleListing([...HEADS, ...rules, ''].join('\n'));

describe('rules of a node', () => {
  it('count where the bridge’s packets meet them first', () => {
    expect(listing(INPUT, USER, JUMP, RETURN).reaches(set)).toBe(true);
  });

  it.each([
    ['in INPUT', [USER, JUMP, RETURN]],
    ['in DOCKER-USER', [INPUT, USER, RETURN]],
    ['that lead to DOCKER-USER', [INPUT, JUMP, RETURN]],
  ])('do not count where there are none %s', (_where, rules) => {
    expect(listing(...rules).reaches(set)).toBe(false);
  });

  it.each([
    '-A INPUT -j ACCEPT',
    '-A INPUT -i fnx -j ACCEPT',
    '-A INPUT -i fn+ -j ACCEPT',
    '-A INPUT ! -i eth0 -j ACCEPT',
    '-A INPUT -j somebodys-chain',
    '-A INPUT -m conntrack --ctstate NEW,RELATED -j ACCEPT',
    '-A FORWARD -j ACCEPT',
    '-A DOCKER-USER -s 172.16.0.0/12 -j ACCEPT',
    '-A DOCKER-USER -j RETURN',
  ])('do not count behind %s', (rule) => {
    expect(listing(rule, INPUT, USER, JUMP).reaches(set)).toBe(false);
  });

  it.each([
    '-A INPUT -i lo -j ACCEPT',
    '-A INPUT -i fnother -m comment --comment "kiln:n2" -j ACCEPT',
    '-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT',
    '-A INPUT -s 203.0.113.9/32 -j DROP',
    '-A DOCKER-USER -i eth0 -j ACCEPT',
    '-A FORWARD -i virbr0 -j ACCEPT',
  ])('count behind %s', (rule) => {
    expect(listing(rule, INPUT, USER, JUMP).reaches(set)).toBe(true);
  });

  it('are set in one transaction that fills the chain before anything leads to it', () => {
    expect(listing(INPUT, USER, JUMP, RETURN).transaction(set).split('\n')).toEqual([
      '*filter',
      ':KILN-x - [0:0]',
      ...set.chain!.rules,
      INPUT.replace('-A', '-D'),
      JUMP.replace('-A', '-D'),
      '-I DOCKER-USER 1 -i fnx -m comment --comment kiln:n1 -j KILN-x',
      '-I INPUT 1 -i fnx -m conntrack --ctstate NEW -m comment --comment kiln:n1 -j REJECT --reject-with icmp-port-unreachable',
      'COMMIT',
      '',
    ]);
  });

  it('are led to from FORWARD where the engine’s own chain is gone or not reached', () => {
    const bare = new RuleListing('-P FORWARD DROP\n-P INPUT ACCEPT\n');
    const forward = '-I FORWARD 1 -i fnx -m comment --comment kiln:n1 -j KILN-x';
    expect(bare.transaction(set)).toContain(`-N DOCKER-USER\n`);
    expect(bare.transaction(set)).toContain(forward);
    expect(listing(JUMP, INPUT).transaction(set)).toContain(forward);
    expect(listing('-A FORWARD -j ACCEPT', USER, JUMP, INPUT).count(set)).toBe(set.chain!.rules.length + 3);
    expect(listing(forward.replace('-I FORWARD 1', '-A FORWARD'), JUMP, INPUT).reaches(set)).toBe(true);
  });

  it('let no IPv6 out of the bridge', () => {
    const six = rulesOfIpv6(input);
    const rule = '-i fnx -m comment --comment kiln:n1 -j REJECT --reject-with icmp6-port-unreachable';
    expect(six.heads).toEqual(['FORWARD', 'INPUT'].map((chain) => ({ chain, rules: [rule] })));
    expect(listing(`-A FORWARD ${rule}`, `-A INPUT ${rule}`).reaches(six)).toBe(true);
    expect(listing('-A FORWARD -j DOCKER-USER', `-A FORWARD ${rule}`, `-A INPUT ${rule}`).reaches(six)).toBe(false);
  });
});
