// Packages of the system, on Debian and Ubuntu only, as root or through sudo, and never without saying so first.
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';

/**
 * Installs packages unless all of the files that they bring are there.
 * @throws Error that says exactly what to install, on every other system.
 */
export function installPackages(packages, files, announce) {
  if (files.every((file) => existsSync(file))) return;
  const missing = files.filter((file) => !existsSync(file)).join(', ');
  if (!isDebianLike())
    throw new Error(`${missing} not found: install ${packages.join(' and ')} with your system's package manager, then run this again`);
  announce(`installing ${packages.join(', ')} with apt-get`);
  asRoot(['apt-get', 'update', '-qq']);
  asRoot(['apt-get', 'install', '-y', '-qq', '--no-install-recommends', ...packages]);
}

/** Runs a program as root. @throws Error as `rootCommand` does, or when it fails */
export function asRoot(command) {
  const [program, ...args] = rootCommand(command);
  execFileSync(program, args, { stdio: ['inherit', 'ignore', 'inherit'], env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' } });
}

/** A command as it is run as root. @throws Error that gives the command for the user to run where neither root nor sudo is at hand. */
export function rootCommand(command) {
  if (process.getuid?.() === 0) return command;
  if (spawnSync('sudo', ['--version'], { stdio: 'ignore' }).status === 0) return ['sudo', ...command];
  throw new Error(`this needs root and there is no sudo; as root run: ${command.join(' ')}`);
}

function isDebianLike() {
  if (!existsSync('/etc/os-release')) return false;
  return /^ID(_LIKE)?=.*\b(debian|ubuntu)\b/m.test(readFileSync('/etc/os-release', 'utf8'));
}
