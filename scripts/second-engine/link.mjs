// A network namespace that reaches the outside through this machine, and nothing of this machine's own.
import { execFileSync, spawnSync } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';

const FORWARDING = '/proc/sys/net/ipv4/ip_forward';

/** @returns the file of the namespace, and what takes everything away again */
export function openLink(name) {
  const network = `10.214.${randomInt(256)}.${4 * randomInt(64)}`;
  const [gateway, own] = [1, 2].map((last) => network.replace(/\d+$/, (first) => String(Number(first) + last)));
  const [outer, inner] = devicesOf(name);
  try {
    ip('netns', 'add', name);
    ip('link', 'add', outer, 'type', 'veth', 'peer', 'name', inner, 'netns', name);
    ip('address', 'add', `${gateway}/30`, 'dev', outer);
    ip('link', 'set', outer, 'up');
    ip('-n', name, 'link', 'set', 'lo', 'up');
    ip('-n', name, 'address', 'add', `${own}/30`, 'dev', inner);
    ip('-n', name, 'link', 'set', inner, 'up');
    ip('-n', name, 'route', 'add', 'default', 'via', gateway);
    // As every Docker engine does on its machine, and leaves it.
    if (readFileSync(FORWARDING, 'utf8').trim() === '0') writeFileSync(FORWARDING, '1');
    for (const rule of rulesFor(name, outer, network)) iptables(...rule);
  } catch (error) {
    closeLink(name);
    throw error;
  }
  return { namespace: `/run/netns/${name}`, close: () => closeLink(name) };
}

/** Also of a run that was killed: everything carries the name. */
export function closeLink(name) {
  for (const table of ['nat', 'filter']) {
    const { stdout } = spawnSync('iptables', ['-w', '5', '-t', table, '-S'], { encoding: 'utf8' });
    for (const rule of (stdout ?? '').split('\n').filter((line) => line.startsWith('-A ') && line.includes(`--comment ${name} `)))
      quietly('iptables', '-w', '5', '-t', table, '-D', ...rule.split(' ').slice(1));
  }
  quietly('ip', 'netns', 'delete', name);
  quietly('ip', 'link', 'delete', devicesOf(name)[0]);
}

/** Outside and inside. A device's name has 15 characters at most. */
function devicesOf(name) {
  return [`${name}o`, `${name}i`];
}

/** Table, chain and the rule itself. */
function rulesFor(name, device, network) {
  const mark = ['-m', 'comment', '--comment', name];
  return [
    ['nat', 'POSTROUTING', ['-s', `${network}/30`, '!', '-o', device, ...mark, '-j', 'MASQUERADE']],
    ['filter', 'FORWARD', ['-i', device, ...mark, '-j', 'ACCEPT']],
    ['filter', 'FORWARD', ['-o', device, ...mark, '-j', 'ACCEPT']],
  ];
}

function iptables(table, chain, rule) {
  execFileSync('iptables', ['-w', '5', '-t', table, '-I', chain, ...rule], { stdio: ['ignore', 'ignore', 'inherit'] });
}

function ip(...args) {
  execFileSync('ip', args, { stdio: ['ignore', 'ignore', 'inherit'] });
}

function quietly(program, ...args) {
  spawnSync(program, args, { stdio: 'ignore' });
}
