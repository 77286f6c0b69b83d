import { spawnSync } from 'node:child_process';

/** Takes out the firewall rules that these nodes left on this machine, and says which. Does nothing where there is no iptables. */
export function removeRules(nodes: readonly string[]): string[] {
  const { stdout, status } = iptables('-S');
  if (status !== 0) return [];
  const left = stdout.split('\n').filter((rule) => rule.startsWith('-A ') && nodes.includes(ownerOf(rule) ?? ''));
  const chains = new Set(left.map((rule) => rule.split(' ')[1] as string).filter((chain) => chain.startsWith('KILN-')));
  for (const rule of left) iptables('-D', ...rule.replaceAll('"', '').split(' ').slice(1));
  for (const chain of chains) iptables('-X', chain);
  return left.map((rule) => `firewall rule ${rule}`);
}

function ownerOf(rule: string): string | undefined {
  return /--comment "?kiln:([a-z0-9-]+)"?/.exec(rule)?.[1];
}

function iptables(...args: string[]): { stdout: string; status: number | null } {
  return spawnSync('iptables', ['-w', '5', ...args], { encoding: 'utf8' });
}
