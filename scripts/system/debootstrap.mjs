// Root file systems of Debian releases, made from its packages.
import { asRoot, installPackages } from './packages.mjs';

/** Not below /tmp: a root file system needs device nodes, and /tmp may be a small file system in memory that takes none. */
export const ROOTS = process.env.KILN_ROOTS ?? '/var/lib/kiln-roots';

const MIRROR = 'http://deb.debian.org/debian';
/** The way in which all releases of today are made; an older debootstrap does not know the newest by name. */
const SCRIPT = '/usr/share/debootstrap/scripts/sid';
/** The last one only recommended by the first, which checks nothing without it. */
const PACKAGES = ['debootstrap', 'debian-archive-keyring', 'gpgv'];
const FILES = ['/usr/sbin/debootstrap', '/usr/share/keyrings/debian-archive-keyring.gpg', '/usr/bin/gpgv'];

/** Makes the smallest root of a release in a folder that is not there yet, with more packages where named. */
export function debootstrap(suite, folder, packages, announce) {
  installPackages(PACKAGES, FILES, announce);
  const more = packages.length === 0 ? [] : [`--include=${packages.join(',')}`];
  asRoot(['mkdir', '-p', folder]);
  asRoot(['debootstrap', '--variant=minbase', ...more, suite, folder, MIRROR, SCRIPT]);
}
