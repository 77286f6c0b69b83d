import { readFileSync } from 'node:fs';
import { type Cluster, startCluster } from '@kiln/testing/cluster';
import { engine } from '@kiln/testing/engine';
import { folderTar } from '@kiln/testing/folder-tar';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { fixture } from '../support/inside.js';

const MEMORY_MB = 192;
const CPU = 0.5;

let cluster: Cluster;

beforeAll(async () => {
  cluster = await startCluster({ nodes: 1 });
  const config = { memory: MEMORY_MB, cpu: CPU, env: { OWN: 'value\nwith a line end' } };
  await cluster.deploy(fixture('evaluate'), { name: 'runner', config });
  await cluster.deploy(fixture('echo'), { name: 'http', config });
});
afterAll(() => cluster?.stop());

/** Everything that a process can learn about itself and its surroundings, read from inside. */
const PROBE = `
const fs = process.getBuiltinModule('node:fs');
const os = process.getBuiltinModule('node:os');
const read = (file) => { try { return fs.readFileSync(file, 'utf8').trim(); } catch (error) { return error.code; } };
const write = (file) => { try { fs.writeFileSync(file, 'x'); fs.unlinkSync(file); return 'written'; } catch (error) { return error.code; } };
const fill = () => {
  const fd = fs.openSync('/tmp/fill', 'w');
  const chunk = Buffer.alloc(1 << 20, 1);
  let written = 0;
  try { for (;;) written += fs.writeSync(fd, chunk); } catch (error) { return { code: error.code, mib: Math.round(written / (1 << 20)) }; }
  finally { fs.closeSync(fd); fs.unlinkSync('/tmp/fill'); }
};
return {
  uid: process.getuid(), gid: process.getgid(), groups: process.getgroups(),
  status: read('/proc/self/status'), mounts: read('/proc/mounts'), oom: read('/proc/self/oom_score_adj'),
  fds: fs.readdirSync('/proc/self/fd').map((fd) => { try { return [Number(fd), fs.readlinkSync('/proc/self/fd/' + fd)]; } catch { return [Number(fd), 'gone']; } }),
  env: process.env, interfaces: Object.keys(os.networkInterfaces()).sort(), net: fs.readdirSync('/sys/class/net').sort(),
  ipv6: read('/proc/net/if_inet6'), resolv: read('/etc/resolv.conf'), devices: fs.readdirSync('/dev').sort(),
  limits: read('/proc/self/limits'), one: read('/proc/1/cmdline'), hostname: os.hostname(),
  cgroup: {
    memory: read('/sys/fs/cgroup/memory/memory.limit_in_bytes'), memsw: read('/sys/fs/cgroup/memory/memory.memsw.limit_in_bytes'),
    quota: read('/sys/fs/cgroup/cpu/cpu.cfs_quota_us'), period: read('/sys/fs/cgroup/cpu/cpu.cfs_period_us'), pids: read('/sys/fs/cgroup/pids/pids.max'),
    memoryMax: read('/sys/fs/cgroup/memory.max'), swapMax: read('/sys/fs/cgroup/memory.swap.max'), cpuMax: read('/sys/fs/cgroup/cpu.max'), pidsMax: read('/sys/fs/cgroup/pids.max'),
  },
  writes: Object.fromEntries(['/x', '/etc/x', '/app/x', '/opt/kiln/x', '/run/x', '/run/kiln/x', '/var/x', '/usr/x', '/sys/x', '/proc/sys/kernel/core_pattern', '/proc/sysrq-trigger',
    '/sys/fs/cgroup/x', '/sys/fs/cgroup/memory/x', '/dev/x', '/tmp/x', '/dev/shm/x'].map((file) => [file, write(file)])),
  fill: fill(),
};`;

interface Seen {
  uid: number;
  gid: number;
  groups: number[];
  status: string;
  mounts: string;
  oom: string;
  fds: [number, string][];
  env: Record<string, string>;
  interfaces: string[];
  net: string[];
  ipv6: string;
  resolv: string;
  devices: string[];
  limits: string;
  one: string;
  hostname: string;
  cgroup: Record<'memory' | 'memsw' | 'quota' | 'period' | 'pids' | 'memoryMax' | 'swapMax' | 'cpuMax' | 'pidsMax', string>;
  writes: Record<string, string>;
  fill: { code: string; mib: number };
}

async function look(name: string): Promise<Seen> {
  const path = name === 'runner' ? '/fn/runner/' : `/fn/${name}/_/evaluate`;
  const answer = await cluster.call(path, { method: 'POST', headers: { 'content-type': 'text/plain' }, body: PROBE });
  expect(answer.status, answer.text).toBe(200);
  return answer.json<Seen>();
}

const field = (status: string, name: string) => new RegExp(`^${name}:\\s*(.*)$`, 'm').exec(status)?.[1];

describe.each(['runner', 'http'])('from inside an instance of the %s kind', (name) => {
  let seen: Seen;
  beforeAll(async () => {
    seen = await look(name);
  });

  it('there is no root, no capability, no way to gain one, and a system call filter', () => {
    expect([seen.uid, seen.gid, seen.groups.filter((group) => group !== 65532)]).toEqual([65532, 65532, []]);
    for (const set of ['CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb'])
      expect([set, field(seen.status, set)]).toEqual([set, '0000000000000000']);
    expect(field(seen.status, 'NoNewPrivs')).toBe('1');
    expect(field(seen.status, 'Seccomp')).toBe('2');
    expect(seen.oom).toBe('500');
  });

  it('nothing is writable but /tmp and /dev/shm, and /tmp ends at its cap', () => {
    const { '/tmp/x': tmp, '/dev/shm/x': shm, ...others } = seen.writes;
    expect([tmp, shm]).toEqual(['written', 'written']);
    for (const [file, outcome] of Object.entries(others)) expect(['EROFS', 'EACCES', 'ENOENT', 'EPERM'], file).toContain(outcome);
    expect(seen.writes['/x']).toBe('EROFS');
    expect(seen.fill.code).toBe('ENOSPC');
    expect(seen.fill.mib).toBeLessThanOrEqual(64);
  });

  it('mounts are the container’s own, cgroups read-only, and there is no socket of the engine', () => {
    const mounts = seen.mounts.split('\n').map((line) => line.split(' ') as [string, string, string, string]);
    const options = (point: string) => mounts.find(([, at]) => at === point)?.[3].split(',') ?? [];
    expect(options('/')).toContain('ro');
    expect(options('/tmp')).toEqual(expect.arrayContaining(['rw', 'nosuid', 'nodev', 'noexec']));
    for (const [, at, type, flags] of mounts) if (type.startsWith('cgroup')) expect([at, flags.split(',')[0]]).toEqual([at, 'ro']);
    // The engine's own folder may be named after containerd: what is mounted, and where, is what counts.
    expect(mounts.filter(([device, at]) => /docker\.sock|containerd/.test(`${device} ${at}`))).toEqual([]);
    expect(seen.mounts).not.toMatch(/\.sock\b/);
    if (name === 'runner') expect(options('/run/kiln')).toContain('ro');
    else expect(mounts.find(([, at]) => at === '/run/kiln')).toBeUndefined();
    const fromHost = mounts.filter(([device]) => device.startsWith('/dev/')).map(([, at]) => at);
    expect(
      fromHost.filter(
        (at) =>
          !['/etc/resolv.conf', '/etc/hostname', '/etc/hosts', '/run/kiln', '/sbin/docker-init', '/usr/sbin/docker-init'].includes(at),
      ),
    ).toEqual([]);
  });

  it('there is no device of the host', () => {
    expect(seen.devices.filter((device) => /^(sd|vd|xvd|nvme|dm-|loop|mem|kmem|kmsg|fuse|net$|kvm)/.test(device))).toEqual([]);
  });

  it('limits are those of its configuration', () => {
    const bytes = String(MEMORY_MB * 1024 * 1024);
    const { cgroup } = seen;
    if (cgroup.memory === 'ENOENT') {
      expect([cgroup.memoryMax, cgroup.swapMax, cgroup.cpuMax]).toEqual([bytes, '0', `${CPU * 100_000} 100000`]);
      expect(Number(cgroup.pidsMax)).toBeGreaterThanOrEqual(64);
    } else {
      expect([cgroup.memory, cgroup.memsw]).toEqual([bytes, bytes]);
      expect(Number(cgroup.quota) / Number(cgroup.period)).toBe(CPU);
      expect(Number(cgroup.pids)).toBeGreaterThanOrEqual(64);
      expect(Number(cgroup.pids)).toBeLessThanOrEqual(1024);
    }
    expect(seen.limits).toMatch(/Max core file size\s+0\s+0/);
    expect(seen.limits).toMatch(/Max open files\s+(1024|4096)\s+4096/);
  });

  it('there is one network interface beside the loopback, and no IPv6 address but the loopback’s', () => {
    expect(seen.net.filter((device) => device !== 'lo')).toHaveLength(1);
    expect(seen.ipv6.split('\n').filter((line) => line !== '' && line !== 'ENOENT' && !/\blo$/.test(line))).toEqual([]);
    expect(seen.resolv).toMatch(/^nameserver /m);
  });

  it('the environment holds the contract’s variables, the function’s own, and nothing else', () => {
    const contract = ['PATH', 'HOME', 'HOSTNAME', 'OWN', 'KILN_FUNCTION', 'KILN_VERSION'];
    const ofKind =
      name === 'runner'
        ? ['KILN_SOCKET', 'KILN_CONCURRENCY', 'KILN_ENTRY', 'KILN_HANDLER', 'KILN_TIMEOUT', 'UV_THREADPOOL_SIZE']
        : ['PORT'];
    expect(Object.keys(seen.env).filter((variable) => ![...contract, ...ofKind].includes(variable))).toEqual([]);
    expect(seen.env).toMatchObject({ OWN: 'value\nwith a line end', KILN_FUNCTION: name, KILN_VERSION: '1', HOME: '/tmp' });
    expect(JSON.stringify(seen.env)).not.toContain(cluster.shared.secret);
  });

  it('open files are the three standard ones and what the process itself opened', () => {
    expect(
      seen.fds
        .map(([fd]) => fd)
        .sort((a, b) => a - b)
        .slice(0, 3),
    ).toEqual([0, 1, 2]);
    expect(seen.fds.find(([fd]) => fd === 0)?.[1]).toBe('/dev/null');
    for (const [fd, target] of seen.fds.filter(([number]) => number > 2))
      expect(target, `fd ${fd}`).toMatch(/^(socket:|pipe:|anon_inode:|\/dev\/null|\/proc\/|gone)/);
  });

  it('an init process reaps and passes signals on', () => {
    expect(seen.one).toMatch(/docker-init|tini|catatonit/);
  });
});

describe('every container', () => {
  it('is made from the fixed template, field by field', async () => {
    const network = new Set<string>();
    for (const { id } of await cluster.containers()) {
      const { Config, HostConfig, NetworkSettings, Image, State } = await engine.getContainer(id).inspect();
      expect(Config).toMatchObject({ User: '65532:65532', StopSignal: 'SIGTERM', Tty: false, OpenStdin: false });
      expect(Config.Healthcheck).toEqual({ Test: ['NONE'] });
      expect(Image).toMatch(/^sha256:/);
      expect(HostConfig).toMatchObject({
        Memory: MEMORY_MB * 1024 * 1024,
        // With systemd one byte more, or the limit goes with the next change of the slice.
        MemorySwap: MEMORY_MB * 1024 * 1024 + (HostConfig.CgroupParent?.endsWith('.slice') ? 1 : 0),
        NanoCpus: CPU * 1e9,
        OomScoreAdj: 500,
        ReadonlyRootfs: true,
        IpcMode: 'private',
        CapDrop: ['ALL'],
        Privileged: false,
        PublishAllPorts: false,
        AutoRemove: false,
        Init: true,
        PidMode: '',
        UTSMode: '',
        UsernsMode: '',
        CgroupnsMode: 'private',
      });
      expect(HostConfig.OomKillDisable ?? false).toBe(false);
      expect(HostConfig.CapAdd ?? []).toEqual([]);
      expect(HostConfig.SecurityOpt).toEqual(expect.arrayContaining([expect.stringMatching(/^no-new-privileges/)]));
      expect(HostConfig.SecurityOpt?.join()).not.toContain('unconfined');
      expect(HostConfig.Devices ?? []).toEqual([]);
      expect(HostConfig.PortBindings ?? {}).toEqual({});
      expect(HostConfig.RestartPolicy?.Name).toMatch(/^(no)?$/);
      expect(HostConfig.MaskedPaths?.length).toBeGreaterThan(0);
      expect(HostConfig.ReadonlyPaths?.length).toBeGreaterThan(0);
      expect(HostConfig.CgroupParent).toMatch(/\w/);
      expect(readFileSync(`/proc/${State.Pid}/cgroup`, 'utf8')).toContain(`${HostConfig.CgroupParent}/`);
      const binds = [
        ...(HostConfig.Binds ?? []),
        ...(HostConfig.Mounts ?? [])
          .filter(({ Type }) => Type === 'bind')
          .map((mount) => `${mount.Source}:${mount.Target}:${mount.ReadOnly ? 'ro' : 'rw'}`),
      ];
      for (const bind of binds) expect(bind).toMatch(/:\/run\/kiln:ro/);
      for (const name of Object.keys(NetworkSettings.Networks)) network.add(name);
    }
    expect([...network]).not.toContain('bridge');
    expect([...network]).not.toContain('host');
  });
});

describe('hostile image metadata', () => {
  const DOCKERFILE = `FROM node:24-trixie-slim
LABEL kiln.node=someone-else kiln.role=parked kiln.function=victim kiln.instance=stolen kiln.version=9
VOLUME /data
STOPSIGNAL SIGCONT
HEALTHCHECK --interval=1s CMD touch /tmp/health
USER root
WORKDIR /
COPY server.mjs websocket.mjs /
ENTRYPOINT ["node"]
CMD ["/server.mjs"]
`;

  it('is overridden: labels, volume, stop signal, health check, user', async () => {
    const lines = await cluster.build('hostile', folderTar(fixture('echo'), { name: 'hostile', files: { Dockerfile: DOCKERFILE } }));
    const last = lines.at(-1);
    if (last?.type === 'failed') {
      // Refusing such an image is as good, where it says why.
      expect([last.code, last.detail].join(' ')).toMatch(/VOLUME/);
      return;
    }
    const owned = (await cluster.containers('hostile'))[0];
    expect(owned).toMatchObject({ node: cluster.nodes[0], role: 'instance', version: '1' });
    const { Config, Mounts } = await engine.getContainer(owned?.id as string).inspect();
    expect(Config).toMatchObject({ User: '65532:65532', StopSignal: 'SIGTERM', Healthcheck: { Test: ['NONE'] } });
    expect(Mounts.filter(({ Type }) => Type === 'volume')).toEqual([]);
    const write = `const fs = process.getBuiltinModule('node:fs'); let n = 0; try { const fd = fs.openSync('/data/x', 'w'); for (; n < 200; n += 1) fs.writeSync(fd, Buffer.alloc(1 << 20)); return n; } catch (error) { return error.code; }`;
    const answer = await cluster.call('/fn/hostile/_/evaluate', { method: 'POST', body: write });
    expect(['EROFS', 'ENOSPC', 'EACCES', 'ENOENT']).toContain(answer.json());
  });
});
