import { execFileSync, spawnSync } from 'node:child_process';
import { randomBytes, randomInt } from 'node:crypto';

/** A machine as the network sees it: a name space with an address of its own. */
export interface Place {
  address: string;
  /** Put before a command, it runs the command there. */
  readonly prefix: readonly string[];
}

/** Places on a bridge of their own, each of which can be cut off: its packets vanish, both ways, and nobody is told. */
export class ApartNetwork {
  /** This machine's address on the bridge. */
  readonly host: string;
  readonly places: readonly Place[];
  private readonly bridge = `kb${randomBytes(4).toString('hex')}`;
  private readonly names: string[] = [];
  private readonly removeNow = () => this.remove();

  constructor(count: number) {
    const net = `10.214.${randomInt(256)}`;
    this.host = `${net}.1`;
    process.on('exit', this.removeNow);
    ip('link', 'add', this.bridge, 'type', 'bridge');
    ip('address', 'add', `${this.host}/24`, 'dev', this.bridge);
    ip('link', 'set', this.bridge, 'up');
    this.places = Array.from({ length: count }, (_, i) => this.add(`${net}.${i + 2}`));
  }

  cut(place: Place): void {
    for (const chain of ['INPUT', 'OUTPUT']) run(place.prefix, 'iptables', '-w', '5', '-I', chain, '-j', 'DROP');
  }

  mend(place: Place): void {
    for (const chain of ['INPUT', 'OUTPUT']) run(place.prefix, 'iptables', '-w', '5', '-D', chain, '-j', 'DROP');
  }

  remove(): void {
    process.off('exit', this.removeNow);
    for (const name of this.names.splice(0)) spawnSync('ip', ['netns', 'delete', name], { stdio: 'ignore' });
    spawnSync('ip', ['link', 'delete', this.bridge], { stdio: 'ignore' });
  }

  private add(address: string): Place {
    const id = randomBytes(4).toString('hex');
    const name = `kiln-test-${id}`;
    ip('netns', 'add', name);
    this.names.push(name);
    ip('link', 'add', `kv${id}`, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', name);
    ip('link', 'set', `kv${id}`, 'master', this.bridge, 'up');
    const prefix = ['nsenter', `--net=/run/netns/${name}`];
    run(prefix, 'ip', 'address', 'add', `${address}/24`, 'dev', 'eth0');
    run(prefix, 'ip', 'link', 'set', 'eth0', 'up');
    run(prefix, 'ip', 'link', 'set', 'lo', 'up');
    return { address, prefix };
  }
}

function ip(...args: string[]): void {
  execFileSync('ip', args, { stdio: 'inherit' });
}

function run(prefix: readonly string[], ...command: string[]): void {
  const [program, ...args] = [...prefix, ...command] as [string, ...string[]];
  execFileSync(program, args, { stdio: 'inherit' });
}
