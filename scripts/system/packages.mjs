// Packages of the system, on Debian and Ubuntu only, as root or through sudo, and never without saying so first.
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';

const MAX_OUTPUT = 64 * 1024 * 1024;
const LAST_LINES = 5;
/** It asks nothing. Said by `env`, for sudo keeps no variables. */
const APT_GET = ['env', 'DEBIAN_FRONTEND=noninteractive', 'apt-get'];

/**
 * Installs packages unless all of the files that they bring are there. True where it did.
 * @throws Error that says exactly what to install, on every other system.
 */
export function installPackages(packages, files, announce) {
  if (files.every((file) => existsSync(file))) return false;
  const missing = files.filter((file) => !existsSync(file)).join(', ');
  if (!isDebianLike())
    throw new Error(`${missing} not found: install ${packages.join(' and ')} with your system's package manager, then run this again`);
  announce(`installing ${packages.join(', ')} with apt-get`);
  asRoot([...APT_GET, 'update', '-qq']);
  asRoot([...APT_GET, 'install', '-y', '-qq', '--no-install-recommends', ...packages]);
  return true;
}

/** Ends a service that a package which was installed just now has started, and keeps it from starting with the machine. */
export function stopService(name, announce, systemd = '/run/systemd/system') {
  announce(`the package starts a service that Kiln does not use: stopping and disabling ${name}`);
  if (existsSync(systemd)) return asRoot(['systemctl', 'disable', '--now', '--quiet', name]);
  // Whether anything was started there is for the machine's own policy.
  for (const command of [
    ['invoke-rc.d', '--quiet', name, 'stop'],
    ['update-rc.d', name, 'disable'],
  ])
    spawnSync(rootCommand(command)[0], rootCommand(command).slice(1), { stdio: 'ignore' });
}

/** Runs a program as root. @throws Error as `rootCommand` does, or with the last that it printed when it fails */
export function asRoot(command) {
  const [program, ...args] = rootCommand(command);
  const { status, signal, stdout, error } = spawnSync(program, args, { stdio: ['inherit', 'pipe', 'inherit'], maxBuffer: MAX_OUTPUT });
  if (error !== undefined) throw error;
  if (status === 0) return;
  const last = stdout.toString().trimEnd().split('\n').slice(-LAST_LINES).join('\n');
  throw new Error(`${command.join(' ')} ended with ${signal ?? `code ${status}`}${last === '' ? '' : `:\n${last}`}`);
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
