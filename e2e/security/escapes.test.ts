import { readdirSync, readFileSync } from 'node:fs';
import { type Cluster, startCluster } from '@kiln/testing/cluster';
import { until } from '@kiln/testing/until';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { errorOf, fixture, inside, instanceOf, valueInside } from '../support/inside.js';

let cluster: Cluster;
let evaluate: string;
let echo: string;

beforeAll(async () => {
  cluster = await startCluster({ nodes: 1 });
  ({ image: evaluate } = await cluster.deploy(fixture('evaluate'), { name: 'victim', config: { memory: 128 } }));
  await cluster.addVersion('attacker', evaluate, { memory: 128, timeout: 5000 });
  ({ image: echo } = await cluster.deploy(fixture('echo'), { name: 'echo', config: { memory: 128 } }));
  await cluster.deploy(fixture('syscalls'), { name: 'syscalls', config: { memory: 128 } });
});
afterAll(() => cluster?.stop());

const NAMED = /^(EPERM|EROFS|EACCES|ENOENT|ENOSYS|EINVAL|ENODEV|ENXIO|ENOTDIR|ESRCH|EBUSY|ECONNREFUSED|ENOTEMPTY)$/;

async function python<T>(code: string): Promise<T> {
  const answer = await cluster.call('/fn/syscalls/', { method: 'POST', body: code });
  if (answer.status !== 200) throw new Error(answer.text);
  return answer.json<T>();
}

async function expectAllRefused(outcomes: Record<string, string>): Promise<void> {
  expect(Object.keys(outcomes).length).toBeGreaterThan(0);
  for (const [what, outcome] of Object.entries(outcomes)) expect([what, outcome]).toEqual([what, expect.stringMatching(NAMED)]);
}

async function theOthersServe(): Promise<void> {
  expect((await inside(cluster, 'victim', 'return 1')).json()).toBe(1);
  expect((await cluster.call('/fn/echo/')).status).toBe(200);
}

describe('attack 38: the engine’s socket', () => {
  it('is found by no path, no link, no other process’s root and no abstract name', async () => {
    await expectAllRefused(
      await python(`
import socket
def connect(address):
    client = socket.socket(socket.AF_UNIX)
    client.settimeout(2)
    client.connect(address)
names = ["/var/run/docker.sock", "/run/docker.sock", "/proc/1/root/run/docker.sock", "/proc/self/root/run/docker.sock", "/run/kiln/docker.sock",
  "/run/containerd/containerd.sock", "/run/docker/containerd/containerd.sock", "\\0/run/docker.sock", "\\0/var/run/docker.sock", "\\0docker", "\\0/containerd-shim"]
result = {name.replace("\\0", "@"): attempt(lambda: connect(name)) for name in names}
`),
    );
  });
});

describe('a function that replaces its socket file', () => {
  it('cannot: neither remove, rename, link over nor create beside it, and it is still served', async () => {
    const before = await inside(cluster, 'attacker', 'return 1');
    const outcomes = await valueInside<Record<string, string>>(
      cluster,
      'attacker',
      `const fs = require('node:fs');
       const attempt = (action) => { try { action(); return 'ok'; } catch (error) { return error.code; } };
       return {
         unlink: attempt(() => fs.unlinkSync('/run/kiln/agent.sock')),
         rename: attempt(() => fs.renameSync('/run/kiln/agent.sock', '/run/kiln/old.sock')),
         moveOver: attempt(() => { fs.symlinkSync('/run/docker.sock', '/tmp/link'); fs.renameSync('/tmp/link', '/run/kiln/agent.sock'); }),
         symlink: attempt(() => fs.symlinkSync('/run/docker.sock', '/run/kiln/other.sock')),
         create: attempt(() => fs.writeFileSync('/run/kiln/file', 'x')),
         folder: attempt(() => fs.renameSync('/run/kiln', '/run/mine')),
         chmod: attempt(() => fs.chmodSync('/run/kiln/agent.sock', 0o777)),
       };`,
    );
    for (const [what, outcome] of Object.entries(outcomes))
      expect([what, outcome]).toEqual([what, expect.stringMatching(/^(EROFS|EACCES|EPERM|EXDEV|EBUSY)$/)]);
    const after = await inside(cluster, 'attacker', 'return 1');
    expect([after.status, instanceOf(after)]).toEqual([200, instanceOf(before)]);
  });
});

describe('attack 39: the ways out of a container', () => {
  it('end with an error, each of them', async () => {
    await expectAllRefused(
      await python(`
SYS = dict(mount=165, umount2=166, unshare=272, setns=308, mknod=133, keyctl=250, add_key=248, bpf=321, userfaultfd=323, perf_event_open=298,
  init_module=175, kexec_load=246, reboot=169, swapon=167, pivot_root=155, chroot=161, open_by_handle_at=304, setuid=105, iopl=172, acct=163, settimeofday=164,
  sethostname=170, clone_newuser=56, process_vm_readv=310, fsopen=430, open_tree=428, move_mount=429, io_uring_setup=425)
b = ctypes.c_char_p
def put(path, text):
    os.write(os.open(path, os.O_WRONLY), text.encode())
result = {
  "mount": syscall(SYS["mount"], b(b"none"), b(b"/tmp"), b(b"tmpfs"), 0, None),
  "remount": syscall(SYS["mount"], None, b(b"/"), None, 32, None),
  "umount": syscall(SYS["umount2"], b(b"/proc"), 0),
  "unshare user": syscall(SYS["unshare"], 0x10000000),
  "unshare mount": syscall(SYS["unshare"], 0x00020000),
  "unshare net": syscall(SYS["unshare"], 0x40000000),
  "setns": syscall(SYS["setns"], 0, 0),
  "mknod": syscall(SYS["mknod"], b(b"/tmp/disk"), 0o60666, (8 << 8)),
  "keyctl": syscall(SYS["keyctl"], 0, -3, 0),
  "add_key": syscall(SYS["add_key"], b(b"user"), b(b"x"), b(b"x"), 1, -2),
  "bpf": syscall(SYS["bpf"], 0, None, 0),
  "userfaultfd": syscall(SYS["userfaultfd"], 0),
  "perf_event_open": syscall(SYS["perf_event_open"], None, 0, -1, -1, 0),
  "init_module": syscall(SYS["init_module"], None, 0, b(b"")),
  "kexec_load": syscall(SYS["kexec_load"], 0, 0, None, 0),
  "reboot": syscall(SYS["reboot"], 0, 0, 0, None),
  "swapon": syscall(SYS["swapon"], b(b"/tmp/x"), 0),
  "pivot_root": syscall(SYS["pivot_root"], b(b"/tmp"), b(b"/tmp")),
  "chroot": syscall(SYS["chroot"], b(b"/tmp")),
  "open_by_handle_at": syscall(SYS["open_by_handle_at"], -1, None, 0),
  "setuid root": syscall(SYS["setuid"], 0),
  "iopl": syscall(SYS["iopl"], 3),
  "acct": syscall(SYS["acct"], b(b"/tmp/x")),
  "sethostname": syscall(SYS["sethostname"], b(b"mine"), 4),
  "fsopen": syscall(SYS["fsopen"], b(b"tmpfs"), 0),
  "open_tree": syscall(SYS["open_tree"], -100, b(b"/"), 1),
  "kcore": attempt(lambda: os.read(os.open("/proc/kcore", os.O_RDONLY), 1) or (_ for _ in ()).throw(OSError(2, "empty"))),
  "mem": attempt(lambda: open("/dev/mem", "rb")),
  "kmsg": attempt(lambda: open("/dev/kmsg", "rb")),
  "sysrq": attempt(lambda: put("/proc/sysrq-trigger", "h")),
  "core_pattern": attempt(lambda: put("/proc/sys/kernel/core_pattern", "|/tmp/x")),
  "modprobe": attempt(lambda: put("/proc/sys/kernel/modprobe", "/tmp/x")),
  "uevent_helper": attempt(lambda: put("/sys/kernel/uevent_helper", "/tmp/x")),
  "release_agent": attempt(lambda: put("/sys/fs/cgroup/memory/release_agent", "/tmp/x")),
  "new cgroup": attempt(lambda: os.mkdir("/sys/fs/cgroup/memory/mine")),
  "own oom score": attempt(lambda: put("/proc/self/oom_score_adj", "-1000")),
  "host root": attempt(lambda: os.listdir("/proc/1/root/var/lib/docker")),
  "runc fds": attempt(lambda: os.listdir("/proc/self/fd/8/..")),
  "run from tmp": attempt(lambda: (open("/tmp/run", "w").write("#!/bin/sh\\n"), os.chmod("/tmp/run", 0o4755), os.execv("/tmp/run", ["run"]))),
}`),
    );
  });

  it('through a set-user-id program neither', async () => {
    const outcome = await python<string[]>(`
import subprocess
found = subprocess.run(["find", "/usr/bin", "/bin", "-perm", "-4000"], capture_output=True, text=True).stdout.split()
result = [subprocess.run([p, "-c", "id -u"], capture_output=True, text=True, input="").stdout.strip() for p in found if p.endswith("/su")]
`);
    for (const uid of outcome) expect(uid).not.toBe('0');
  });
});

describe('attack 41: state left behind', () => {
  it('stays in its instance: another function and another version of the same image see none of it', async () => {
    const marker = `canary-${Math.random().toString(36).slice(2)}`;
    await valueInside(
      cluster,
      'attacker',
      `const fs = require('node:fs'); const { spawn } = require('node:child_process');
       for (const folder of ['/tmp', '/dev/shm']) fs.writeFileSync(folder + '/${marker}', 'x');
       spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)', '${marker}'], { detached: true, stdio: 'ignore' }).unref();
       process.chdir('/tmp'); process.umask(0); process.env.CANARY = '${marker}';
       Array.prototype.canary = '${marker}'; globalThis.canary = '${marker}'; JSON.stringify = () => '"${marker}"';
       res.end('null');`,
    );
    await cluster.addVersion('attacker', evaluate, { memory: 128, timeout: 5001 });
    const look = `const fs = require('node:fs');
      return { tmp: fs.readdirSync('/tmp'), shm: fs.readdirSync('/dev/shm'), env: process.env.CANARY ?? null, global: globalThis.canary ?? [].canary ?? null,
        processes: fs.readdirSync('/proc').filter((pid) => /^\\d+$/.test(pid)).map((pid) => { try { return fs.readFileSync('/proc/' + pid + '/cmdline', 'utf8'); } catch { return ''; } }).join(' ') };`;
    for (const name of ['victim', 'attacker']) {
      const answer = await inside(cluster, name, look);
      if (name === 'attacker') expect(answer.headers['x-kiln-version']).toBe('2');
      expect(answer.text).not.toContain(marker);
      expect(answer.json()).toMatchObject({ env: null, global: null });
    }
    // The version before stays warm for a rollback; what came before that goes.
    await cluster.addVersion('attacker', evaluate, { memory: 128, timeout: 5002 });
    await until('the old version’s processes are gone, its daemon with them', () => !processesOfTheHost().includes(marker), 20_000);
  });
});

function processesOfTheHost(): string {
  return readdirSync('/proc')
    .filter((pid) => /^\d+$/.test(pid) && Number(pid) !== process.pid)
    .map((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
      } catch {
        return ''; // It ended meanwhile.
      }
    })
    .join(' ');
}

describe('attack 42: abuse of the life cycle', () => {
  it('ignoring SIGTERM: the instance is removed all the same', async () => {
    await cluster.addVersion('deaf', echo, { memory: 128, env: { MODE: 'deaf' } });
    expect((await cluster.call('/fn/deaf/')).status).toBe(200);
    expect((await cluster.api('DELETE', '/v1/functions/deaf')).status).toBeLessThan(300);
    await until('its container is gone', async () => (await cluster.containers('deaf')).length === 0, 20_000);
  });

  it('listening, then no more: callers get an error, and nobody waits for ever', async () => {
    await cluster.addVersion('closing', echo, { memory: 128, timeout: 3000, env: { MODE: 'closes', AFTER: '3000' } });
    const served = new Set<unknown>();
    await until(
      'a second instance serves',
      async () => {
        const answer = await cluster.call('/fn/closing/');
        expect(answer.ms).toBeLessThan(10_000);
        if (answer.status === 200) served.add(instanceOf(answer));
        else expect(['function_crashed', 'function_timeout', 'start_failed']).toContain(errorOf(answer));
        return served.size > 1;
      },
      30_000,
    );
  });

  it('accepting and never reading: 504 at the timeout, and the instance is replaced', async () => {
    await cluster.addVersion('unread', echo, { memory: 128, timeout: 1000, env: { MODE: 'unread' } });
    const first = await cluster.call('/fn/unread/', { method: 'POST', body: Buffer.alloc(1_000_000) });
    expect([first.status, errorOf(first)]).toEqual([504, 'function_timeout']);
    const second = await cluster.call('/fn/unread/');
    expect(second.status).toBe(504);
    expect(instanceOf(second)).not.toBe(instanceOf(first));
  });

  it('leaving a child and ending the first process: 502, and the child is gone too', async () => {
    const marker = `child-${Math.random().toString(36).slice(2)}`;
    const answer = await inside(
      cluster,
      'attacker',
      `require('node:child_process').spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)', '${marker}'], { detached: true, stdio: 'ignore' }).unref(); process.exit(0);`,
    );
    expect([answer.status, errorOf(answer)]).toEqual([502, 'function_crashed']);
    await until('the child is gone', () => !processesOfTheHost().includes(marker), 10_000);
    await theOthersServe();
  });

  it('overwriting the platform’s own program in the image: refused', async () => {
    const outcome = await valueInside<string>(
      cluster,
      'attacker',
      `try { require('node:fs').writeFileSync(process.argv[1], 'x'); return 'written'; } catch (error) { return error.code; }`,
    );
    expect(['EROFS', 'EACCES']).toContain(outcome);
  });

  it('dialling in many times over: no lease beyond the limit, and the agent serves everyone', async () => {
    const opened = await valueInside<number>(
      cluster,
      'attacker',
      `const net = require('node:net'); const all = [];
       for (let i = 0; i < 500; i += 1) { const socket = net.connect('/run/kiln/agent.sock'); socket.on('error', () => {}); all.push(socket); }
       await new Promise((r) => setTimeout(r, 500)); state.all = all;
       return all.filter((socket) => !socket.destroyed && !socket.connecting).length;`,
    );
    console.info(`dialling in: ${opened} of 500 connections stay open`);
    expect(opened).toBeLessThan(100);
    await theOthersServe();
    const { items } = (await cluster.api('GET', '/v1/functions/attacker/instances')).json<{ items: { leases: number }[] }>();
    for (const { leases } of items) expect(leases).toBeLessThanOrEqual(1);
  });

  it('answering what nobody asked on a connection of its own: the agent drops it and serves everyone', async () => {
    await inside(
      cluster,
      'attacker',
      `const net = require('node:net');
       for (let i = 0; i < 3; i += 1) { const s = net.connect('/run/kiln/agent.sock'); s.on('error', () => {}); s.write('HTTP/1.1 200 OK\\r\\ncontent-length: 6\\r\\n\\r\\nforged'.repeat(50)); }
       return 1;`,
    );
    await theOthersServe();
    const next = await until('it is served again itself', async () => {
      const answer = await inside(cluster, 'attacker', 'return "real"');
      return answer.status === 200 && answer;
    });
    expect(next.json()).toBe('real');
  });

  it('changing the process under the platform: it harms the function alone', async () => {
    await inside(
      cluster,
      'attacker',
      `require('node:http').ServerResponse.prototype.end = () => {}; process.exit = () => {}; return 1;`,
    ).catch(() => undefined);
    await theOthersServe();
    await until('a new instance of it serves', async () => (await inside(cluster, 'attacker', 'return 1')).status === 200, 20_000);
  });
});
