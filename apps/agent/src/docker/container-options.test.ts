import { resolveConfig } from '@kiln/contract/config/function-config';
import type { FunctionVersion } from '@kiln/instances/port/container-driver';
import { describe, expect, it } from 'vitest';
import { type ContainerInput, containerOptions } from './container-options.js';

function input(change: Partial<ContainerInput> = {}, version: Partial<FunctionVersion> = {}): ContainerInput {
  return {
    node: 'n1',
    instance: 'abc',
    version: {
      function: 'hello',
      version: 3,
      image: 'x',
      kind: 'http',
      config: resolveConfig({ memory: 100, cpu: 0.5 }, 'http'),
      ...version,
    },
    secrets: {},
    image: { id: 'sha256:1', entrypoint: ['/start'], command: ['-v'], workingDirectory: '/srv', volumes: ['/data', '/tmp'] },
    network: 'kiln-n1',
    cgroupDriver: 'cgroupfs',
    cgroupVersion: '1',
    ...change,
  };
}

describe('the container template', () => {
  it('has the secrets in its environment, below what the platform sets, and in nothing else', () => {
    const { Env, ...rest } = containerOptions(input({ secrets: { TOKEN: 'hunter2', HOME: 'hunter2' } }, { secretRevisions: { TOKEN: 1 } }));
    expect(Env).toContain('TOKEN=hunter2');
    expect(Env).toContain('HOME=/tmp');
    expect(JSON.stringify(rest)).not.toContain('hunter2');
  });

  it('is the same field by field for every instance', () => {
    const { HostConfig, ...options } = containerOptions(input({ address: '172.20.0.7' }));
    expect(options).toEqual({
      name: 'kiln-n1-abc',
      Image: 'sha256:1',
      User: '65532:65532',
      Entrypoint: ['/start'],
      Cmd: ['-v'],
      WorkingDir: '/srv',
      Env: ['HOME=/tmp', 'KILN_FUNCTION=hello', 'KILN_VERSION=3', 'PORT=8080'],
      Labels: {
        'kiln.node': 'n1',
        'kiln.role': 'instance',
        'kiln.function': 'hello',
        'kiln.version': '3',
        'kiln.instance': 'abc',
        'kiln.kind': 'http',
      },
      StopSignal: 'SIGTERM',
      StopTimeout: 5,
      Healthcheck: { Test: ['NONE'] },
      Tty: false,
      OpenStdin: false,
      AttachStdin: false,
      ExposedPorts: {},
      NetworkingConfig: { EndpointsConfig: { 'kiln-n1': { IPAMConfig: { IPv4Address: '172.20.0.7' } } } },
    });
    expect(HostConfig).toMatchObject({
      AutoRemove: false,
      Binds: [],
      CapAdd: [],
      CapDrop: ['ALL'],
      CgroupParent: '/faas',
      CgroupnsMode: 'private',
      Init: true,
      IpcMode: 'private',
      Memory: 104_857_600,
      MemorySwap: 104_857_600,
      MemorySwappiness: 0,
      NanoCpus: 500_000_000,
      NetworkMode: 'kiln-n1',
      OomKillDisable: false,
      OomScoreAdj: 500,
      PidsLimit: 128,
      PortBindings: {},
      Privileged: false,
      ReadonlyRootfs: true,
      RestartPolicy: { Name: 'no' },
      SecurityOpt: ['no-new-privileges:true'],
      ShmSize: 16_777_216,
      Ulimits: [
        { Name: 'nofile', Soft: 1024, Hard: 4096 },
        { Name: 'core', Soft: 0, Hard: 0 },
      ],
      LogConfig: { Type: 'none', Config: {} },
    });
  });

  it('puts a small tmpfs over each VOLUME of an image, and its own over /tmp', () => {
    const { Tmpfs } = containerOptions(input()).HostConfig;
    expect(Tmpfs['/data']).toMatch(/noexec,size=1m/);
    expect(Tmpfs['/tmp']).toBe('rw,nosuid,nodev,noexec,size=64m,nr_inodes=16384,mode=1777');
  });

  it('gives a runner its command, its variables and its socket folder, read-only', () => {
    const config = resolveConfig({ memory: 256, entry: 'a.js', handler: 'b', env: { X: 'a=b\nc' } }, 'runner');
    const options = containerOptions(input({ socketFolder: '/home/run/abc' }, { kind: 'runner', config }));
    expect(options.Entrypoint).toEqual(['node', '--max-old-space-size=179', '/opt/kiln/runner.mjs']);
    expect([options.Cmd, options.WorkingDir]).toEqual([[], '/app']);
    expect(options.HostConfig.Binds).toEqual(['/home/run/abc:/run/kiln:ro']);
    expect(options.Env).toEqual(
      expect.arrayContaining(['X=a=b\nc', 'KILN_SOCKET=/run/kiln/agent.sock', 'KILN_CONCURRENCY=1', 'KILN_ENTRY=a.js', 'KILN_HANDLER=b']),
    );
    expect(options.Env.some((variable) => variable.startsWith('PORT='))).toBe(false);
  });

  it('names a slice where systemd keeps the cgroups, has systemd told that there is no swap, and no swappiness on version 2', () => {
    const { HostConfig } = containerOptions(input({ cgroupDriver: 'systemd', cgroupVersion: '2' }));
    expect(HostConfig.CgroupParent).toBe('faas.slice');
    expect(HostConfig.MemorySwap).toBe(HostConfig.Memory + 1);
    expect(HostConfig).not.toHaveProperty('MemorySwappiness');
  });

  it('lets a user’s variables not stand in for the platform’s', () => {
    const config = { ...resolveConfig({}, 'http'), env: { HOME: '/root', KILN_VERSION: '9' } };
    const { Env } = containerOptions(input({}, { config }));
    expect(Env.filter((variable) => /^(HOME|KILN_VERSION)=/.test(variable)).sort()).toEqual(['HOME=/tmp', 'KILN_VERSION=3']);
  });
});
