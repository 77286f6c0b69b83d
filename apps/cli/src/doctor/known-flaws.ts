/** A published flaw of the engine or runc. `fixedIn` has the first fixed version of each release line. */
interface Flaw {
  id: string;
  what: string;
  fixedIn: readonly string[];
  /** Distribution packages with the fix under an older version number: from this upload of the series on (source: their changelogs). */
  backports?: readonly { series: string; upload: number }[];
}

const DEBIAN_12 = '1.1.5+ds1-1+deb12u';
const DEBIAN_13 = '1.1.15+ds1-2+deb13u';

const RUNC: readonly Flaw[] = [
  {
    id: 'CVE-2024-21626',
    what: 'a leaked file descriptor lets a container out to the host',
    fixedIn: ['1.1.12'],
    backports: [{ series: DEBIAN_12, upload: 1 }],
  },
  {
    id: 'CVE-2025-31133, CVE-2025-52565',
    what: 'races around masked paths and the console let a container out to the host',
    fixedIn: ['1.2.8', '1.3.3'],
    backports: [{ series: DEBIAN_13, upload: 1 }],
  },
  { id: 'CVE-2025-52881', what: 'writes to /proc that a container redirects let it out to the host', fixedIn: ['1.2.8', '1.3.3'] },
  {
    id: 'CVE-2026-41579',
    what: 'an image with a link in the place of /dev changes files of the host',
    fixedIn: ['1.3.6'],
    backports: [{ series: DEBIAN_13, upload: 1 }],
  },
];

const ENGINE: readonly Flaw[] = [
  { id: 'CVE-2024-24557', what: "the classic builder's cache can be poisoned by another image", fixedIn: ['24.0.9', '25.0.2'] },
  {
    id: 'CVE-2024-23651, CVE-2024-23652, CVE-2024-23653',
    what: 'BuildKit lets a Dockerfile out to the host',
    fixedIn: ['25.0.2'],
  },
  { id: 'CVE-2024-29018', what: 'internal networks leak name look-ups to the outside', fixedIn: ['23.0.11', '25.0.5', '26.0.0'] },
];

interface Version {
  version: string;
  /** The version of the distribution's package, if known. */
  package?: string;
}

export const runcFlaws = (runc: Version) => openFlaws(RUNC, runc);
export const engineFlaws = (engine: Version) => openFlaws(ENGINE, engine);

function openFlaws(flaws: readonly Flaw[], version: Version): string[] {
  return flaws.filter((flaw) => isOpen(flaw, version)).map(({ id, what }) => `${id}: ${what}`);
}

/** True for a version before all fixes, or before the fix of its own release line. */
function isOpen({ fixedIn, backports }: Flaw, { version, package: packaged }: Version): boolean {
  if (packaged !== undefined && backports?.some((from) => hasUpload(packaged, from))) return false;
  const own = numbers(version);
  const sameLine = fixedIn.map(numbers).find((fix) => fix[0] === own[0] && fix[1] === own[1]);
  return isBefore(own, sameLine ?? numbers(fixedIn.at(-1) ?? ''));
}

/** Reads `<series><upload>`, with or without the mark of a rebuild after it. */
function hasUpload(packaged: string, { series, upload }: { series: string; upload: number }): boolean {
  return packaged.startsWith(series) && Number.parseInt(packaged.slice(series.length), 10) >= upload;
}

function numbers(version: string): number[] {
  return (/\d+(\.\d+)*/.exec(version)?.[0] ?? '0').split('.').map(Number);
}

function isBefore(a: readonly number[], b: readonly number[]): boolean {
  const differs = [0, 1, 2].find((i) => (a[i] ?? 0) !== (b[i] ?? 0));
  return differs !== undefined && (a[differs] ?? 0) < (b[differs] ?? 0);
}
