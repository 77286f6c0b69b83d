import { describe, expect, it } from 'vitest';
import { engineFlaws, runcFlaws } from './known-flaws.js';

const ids = (flaws: string[]) => flaws.map((flaw) => flaw.split(':')[0]).join(' | ');

describe('known flaws', () => {
  it.each([
    ['1.1.5', 'CVE-2024-21626 | CVE-2025-31133, CVE-2025-52565, CVE-2025-52881'],
    ['1.1.12', 'CVE-2025-31133, CVE-2025-52565, CVE-2025-52881'],
    ['1.2.7', 'CVE-2025-31133, CVE-2025-52565, CVE-2025-52881'],
    ['1.2.8', ''],
    ['1.3.2', 'CVE-2025-31133, CVE-2025-52565, CVE-2025-52881'],
    ['1.3.3', ''],
    ['1.4.0', ''],
  ])('of runc %s', (version, expected) => {
    expect(ids(runcFlaws({ version }))).toBe(expected);
  });

  it("knows what Debian 12's runc has fixed under an old number, and what not", () => {
    expect(ids(runcFlaws({ version: '1.1.5+ds1', package: '1.1.5+ds1-1+deb12u1' }))).toBe('CVE-2025-31133, CVE-2025-52565, CVE-2025-52881');
  });

  it.each([
    ['20.10.24+dfsg1', 'CVE-2024-24557 | CVE-2024-23651, CVE-2024-23652, CVE-2024-23653 | CVE-2024-29018'],
    ['24.0.9', 'CVE-2024-23651, CVE-2024-23652, CVE-2024-23653 | CVE-2024-29018'],
    ['25.0.5', ''],
    ['28.2.2', ''],
  ])('of engine %s', (version, expected) => {
    expect(ids(engineFlaws({ version }))).toBe(expected);
  });
});
