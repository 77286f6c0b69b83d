import { describe, expect, it } from 'vitest';
import { dotenvNote } from './dotenv.js';

describe('a .env that is not sent', () => {
  it('is told by the names that the configuration does not set, never by a value', () => {
    const note = dotenvNote('# local\nGREETING=Moin\nexport TOKEN="s3cret"\nKNOWN=1\nSTORED=2\nlower=x\n', {
      env: { KNOWN: '1' },
      secrets: ['STORED'],
    });
    expect(note).toMatch(/^\.env is not sent, and kiln\.json does not set GREETING, TOKEN, lower: .*"env".*kiln secrets import \.env/);
    expect(note).not.toMatch(/Moin|s3cret/);
  });

  it('is no word worth where all of it is set, or nothing is in it', () => {
    expect(dotenvNote('GREETING=Moin\n', { env: { GREETING: 'Hello' } })).toBeUndefined();
    expect(dotenvNote('# nothing\n', {})).toBeUndefined();
  });

  it('shows no part of a key that was written without quotes', () => {
    const note = dotenvNote('KEY=-----BEGIN KEY-----\nMIIEowIBAAKCAQEAsecret\nQUJDREVGaBc0=\n-----END KEY-----\n', {});
    expect(note).toMatch(/does not set KEY, 1 more: /);
    expect(note).not.toMatch(/MIIE|QUJD/);
  });

  it('is told in one line however many variables it has', () => {
    const many = Array.from({ length: 300 }, (_, i) => `V${i}=x`).join('\n');
    expect(dotenvNote(many, {})).toMatch(/does not set V0, (V\d+, ){9}290 more: /);
  });
});
