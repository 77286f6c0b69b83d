import { Demultiplexer } from '@kiln/engine/output-frames';
import { describe, expect, it } from 'vitest';
import { AddressPool } from './address-pool.js';
import { whileAnswering, within } from './deadline.js';
import { bridgeName } from './network.js';
import { chainRules, inputRules, jumpRule } from './rules/rule-set.js';

describe('addresses', () => {
  it('are used again as late as can be', () => {
    const pool = new AddressPool('10.1.2.0/29');
    const first = pool.take();
    expect(first).toBe('10.1.2.2');
    pool.give(first ?? '');
    expect([pool.take(), pool.take(), pool.take(), pool.take()]).toEqual(['10.1.2.3', '10.1.2.4', '10.1.2.5', '10.1.2.6']);
    expect(pool.take()).toBe('10.1.2.2');
    expect(pool.take()).toBeUndefined();
  });

  it('cross the border of a byte', () => {
    const pool = new AddressPool('172.20.0.0/16');
    const taken = Array.from({ length: 300 }, () => pool.take());
    expect(new Set(taken).size).toBe(300);
    expect(taken.at(-1)).toBe('172.20.1.45');
  });
});

describe('the engine’s output stream', () => {
  const frame = (source: number, text: string) => {
    const header = Buffer.alloc(8);
    header[0] = source;
    header.writeUInt32BE(Buffer.byteLength(text), 4);
    return Buffer.concat([header, Buffer.from(text)]);
  };

  it.each([[1], [3], [1000]])('comes apart in pieces of %i bytes', (size) => {
    const seen = { stdout: '', stderr: '' };
    const demultiplexer = new Demultiplexer((source, chunk) => {
      seen[source] += String(chunk);
    });
    const all = Buffer.concat([frame(1, 'out'), frame(2, 'bad'), frame(1, ''), frame(1, 'put')]);
    for (let at = 0; at < all.length; at += size) demultiplexer.push(all.subarray(at, at + size));
    expect(seen).toEqual({ stdout: 'output', stderr: 'bad' });
  });

  it('keeps nothing of a frame that says it is huge', () => {
    let bytes = 0;
    const demultiplexer = new Demultiplexer((_source, chunk) => {
      bytes += chunk.length;
    });
    demultiplexer.push(Buffer.from([1, 0, 0, 0, 0xff, 0xff, 0xff, 0xff]));
    for (let i = 0; i < 100; i++) demultiplexer.push(Buffer.alloc(1000));
    expect(bytes).toBe(100_000);
  });
});

describe('a call to the engine', () => {
  it('that hangs ends at its deadline, aborted', async () => {
    let aborted = false;
    const call = within('answer', 20, (signal) => {
      signal.addEventListener('abort', () => {
        aborted = true;
      });
      return new Promise(() => undefined);
    });
    await expect(call).rejects.toMatchObject({ code: 'no_capacity' });
    expect(aborted).toBe(true);
  });
});

describe('a call that an engine takes long for', () => {
  const later = <T>(ms: number, value: T) => new Promise<T>((resolve) => setTimeout(() => resolve(value), ms));

  it('is waited for while the engine answers otherwise', async () => {
    expect(await whileAnswering('start', { boundMs: 50, answers: async () => true }, () => later(150, 'started'))).toBe('started');
  });

  it('ends, aborted, when the engine answers nothing, and after four bounds at most', async () => {
    const signals: AbortSignal[] = [];
    const never = (signal: AbortSignal) => {
      signals.push(signal);
      return new Promise(() => undefined);
    };
    const began = performance.now();
    await expect(whileAnswering('start', { boundMs: 50, answers: async () => false }, never)).rejects.toMatchObject({
      code: 'no_capacity',
    });
    expect(performance.now() - began).toBeLessThan(150);
    await expect(whileAnswering('start', { boundMs: 50, answers: async () => true }, never)).rejects.toMatchObject({ code: 'no_capacity' });
    expect(performance.now() - began).toBeGreaterThan(240);
    expect(signals.map(({ aborted }) => aborted)).toEqual([true, true]);
  });
});

describe('the rules of a node', () => {
  const rules = {
    chain: 'KILN-x',
    bridge: 'fnx',
    comment: 'kiln:n1',
    resolvers: ['10.0.0.2', '10.9.9.9'],
    protectedAddresses: ['10.0.0.7'],
  };

  it('name its interface within the kernel’s limit', () => {
    expect(bridgeName('n'.repeat(63))).toMatch(/^fn[0-9a-f]{10}$/);
    expect(bridgeName('a')).not.toBe(bridgeName('b'));
  });

  it('let names be resolved first, then refuse published ports, other instances, metadata services and nodes', () => {
    const told = chainRules(rules).map((rule) => rule.replace('-A KILN-x -m comment --comment kiln:n1 ', ''));
    expect(told).toEqual([
      '-m conntrack --ctstate RELATED,ESTABLISHED -j RETURN',
      ...['10.0.0.2', '10.9.9.9'].flatMap((address) => ['udp', 'tcp'].map((kind) => `-d ${address} -p ${kind} --dport 53 -j RETURN`)),
      '-m conntrack --ctstate DNAT -j REJECT --reject-with icmp-port-unreachable',
      '-o fn+ -j REJECT --reject-with icmp-port-unreachable',
      '-d 169.254.0.0/16 -j REJECT --reject-with icmp-port-unreachable',
      '-d 10.0.0.7 -j REJECT --reject-with icmp-port-unreachable',
    ]);
    expect(jumpRule(rules).join(' ')).toBe('-i fnx -m comment --comment kiln:n1 -j KILN-x');
  });

  it('let nothing in to the machine itself but questions to a resolver on it', () => {
    const told = inputRules(rules, ['10.9.9.9', '10.0.0.1']).map((rule) => rule.join(' '));
    expect(told).toEqual([
      '-i fnx -d 10.9.9.9 -p udp --dport 53 -m comment --comment kiln:n1 -j ACCEPT',
      '-i fnx -d 10.9.9.9 -p tcp --dport 53 -m comment --comment kiln:n1 -j ACCEPT',
      '-i fnx -m conntrack --ctstate NEW -m comment --comment kiln:n1 -j REJECT --reject-with icmp-port-unreachable',
    ]);
  });
});
