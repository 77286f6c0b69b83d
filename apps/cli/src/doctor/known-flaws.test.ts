import { describe, expect, it } from 'vitest';
import { engineFlaws, runcFlaws } from './known-flaws.js';

const ids = (flaws: string[]) => flaws.map((flaw) => flaw.split(':')[0]).join(' | ');

describe('known flaws', () => {
  const OF_2025 = 'CVE-2025-31133, CVE-2025-52565 | CVE-2025-52881';
  const OF_2026 = 'CVE-2026-41579';

  it.each([
    ['1.1.5', `CVE-2024-21626 | ${OF_2025} | ${OF_2026}`],
    ['1.1.12', `${OF_2025} | ${OF_2026}`],
    ['1.2.7', `${OF_2025} | ${OF_2026}`],
    ['1.2.8', OF_2026],
    ['1.3.2', `${OF_2025} | ${OF_2026}`],
    ['1.3.3', OF_2026],
    ['1.3.6', ''],
    ['1.4.0', ''],
  ])('of runc %s', (version, expected) => {
    expect(ids(runcFlaws({ version }))).toBe(expected);
  });

  it.each([
    ["Debian 12's runc", '1.1.5+ds1', '1.1.5+ds1-1', `CVE-2024-21626 | ${OF_2025} | ${OF_2026}`],
    ["Debian 12's runc", '1.1.5+ds1', '1.1.5+ds1-1+deb12u1', `${OF_2025} | ${OF_2026}`],
    ["Debian 13's runc before its first security upload", '1.1.15+ds1', '1.1.15+ds1-2+b4', `${OF_2025} | ${OF_2026}`],
    ["Debian 13's runc", '1.1.15+ds1', '1.1.15+ds1-2+deb13u1', 'CVE-2025-52881'],
    ["Debian 13's runc, rebuilt", '1.1.15+ds1', '1.1.15+ds1-2+deb13u12+b1', 'CVE-2025-52881'],
  ])('are known as fixed under an old number, as %s %s has some of them: %s', (_what, version, packaged, expected) => {
    expect(ids(runcFlaws({ version, package: packaged }))).toBe(expected);
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
