import { describe, expect, it } from 'vitest';
import { ProtectedAddresses } from './protected-addresses.js';

describe('protected addresses', () => {
  it('are those of other machines: loopback is not reached from an instance anyway', async () => {
    const urls = [
      'http://127.0.0.1:1',
      'http://localhost:2',
      'http://192.0.2.1:3',
      'redis://192.0.2.2:6379',
      'unix:///run/redis.sock',
      'no url',
    ];
    expect(await new ProtectedAddresses().of(urls)).toEqual(['192.0.2.1', '192.0.2.2']);
  });

  it('do not wait for a name server that does not answer, which is asked for a name once and for two names at a time', async () => {
    const asked: string[] = [];
    const silent = new ProtectedAddresses((host) => {
      asked.push(host);
      return new Promise(() => undefined);
    }, 20);
    const urls = ['http://192.0.2.1:3', 'http://one.example', 'http://two.example', 'http://three.example'];
    for (let i = 0; i < 3; i++) expect(await silent.of(urls)).toEqual(['192.0.2.1']);
    expect(asked).toEqual(['one.example', 'two.example']);
  });

  it('stay as they were while a name does not resolve, and are forgotten with the name', async () => {
    const answers: (readonly string[] | Error)[] = [['192.0.2.7'], new Error('SERVFAIL'), [], new Error('SERVFAIL')];
    const addresses = new ProtectedAddresses(async () => {
      const answer = answers.shift()!;
      if (answer instanceof Error) throw answer;
      return answer;
    });
    for (let i = 0; i < 3; i++) expect(await addresses.of(['http://one.example:1'])).toEqual(['192.0.2.7']);
    expect(await addresses.of([])).toEqual([]);
    expect(await addresses.of(['http://one.example:1'])).toEqual([]);
  });
});
