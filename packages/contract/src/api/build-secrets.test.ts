import { describe, expect, it } from 'vitest';
import { BUILD_SECRETS } from '../wire/headers.js';
import { type BuildSecrets, buildSecretsHeader, buildSecretsHeaders } from './build-secrets.js';

const asHeader = (secrets: BuildSecrets) => buildSecretsHeaders(secrets)[BUILD_SECRETS];
const base64 = (text: string) => Buffer.from(text).toString('base64');

describe('buildSecretsHeader', () => {
  it('reads what buildSecretsHeaders writes, whatever is in it', () => {
    const secrets = { npmrc: base64('//r/:_authToken=a,b\n'), 'pip.conf': base64('x'), none: '' };
    expect(buildSecretsHeader.parse(asHeader(secrets))).toEqual(secrets);
    expect(buildSecretsHeaders({})).toEqual({});
  });

  it.each([
    ['an id that is a path', '../x=QQ=='],
    ['no id', '=QQ=='],
    ['an id with a space', 'a b=QQ=='],
    ['what is no base64', 'npmrc=a!b'],
    ['too much', asHeader({ a: base64('x'.repeat(5000)), b: base64('x'.repeat(4000)) })],
    ['too many', asHeader(Object.fromEntries(Array.from({ length: 17 }, (_, i) => [`s${i}`, 'QQ=='])))],
  ])('refuses %s', (_what, header) => {
    expect(buildSecretsHeader.safeParse(header).success).toBe(false);
  });
});
