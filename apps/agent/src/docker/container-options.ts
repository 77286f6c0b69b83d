import { type ImageKind, KINDS } from '@kiln/contract/kinds';
import { FUNCTION_USER, HARDENED } from '@kiln/engine/container-template';
import { memorySwap } from '@kiln/engine/memory-swap';
import type { FunctionVersion } from '@kiln/instances/port/container-driver';
import { instanceEnvironment } from '@kiln/instances/port/instance-environment';
import type { LocalImage } from '../images/image-engine.js';

/** The metadata of an image that a container uses. A container is made from the id, because a tag may move. */
export type ImageFacts = Pick<LocalImage, 'id' | 'entrypoint' | 'command' | 'workingDirectory' | 'volumes'>;

export interface ContainerInput {
  node: string;
  instance: string;
  version: FunctionVersion;
  /** In clear, by name. */
  secrets: Readonly<Record<string, string>>;
  image: ImageFacts;
  network: string;
  /** On that network; undefined leaves the choice to the engine. */
  address?: string;
  /** Host folder of the agent's socket; runner images only. */
  socketFolder?: string;
  /** The path form differs: a plain path for cgroupfs, a slice for systemd. */
  cgroupDriver: string;
  cgroupVersion: string;
}

export const NODE_LABEL = 'kiln.node';
export const ROLE_LABEL = 'kiln.role';
export const INSTANCE_ROLE = 'instance';
/** Where a container sees the agent's socket. */
const SOCKET_PATH = '/run/kiln/agent.sock';
const PYTHON_COMMAND = { Entrypoint: ['python', '/opt/kiln/runner.py'], Cmd: [] as string[], WorkingDir: '/app' };
/** Share of a container's memory, so that Node collects garbage before the kernel kills the process. */
const HEAP_SHARE = 0.7;

/** The name of a container; it holds the node, so that two agents on one engine never use the same. */
export function containerName(node: string, instance: string): string {
  return `kiln-${node}-${instance}`;
}

/**
 * The whole request for an instance's container. A fixed template, field by field: an attacker may write the metadata of an image, so
 * the template sets every field that an image could set. No JSON of a user is merged into it.
 */
export function containerOptions(input: ContainerInput) {
  const { node, instance, version, image } = input;
  const { config, kind } = version;
  return {
    name: containerName(node, instance),
    Image: image.id,
    User: FUNCTION_USER,
    ...command(kind, config.memory, image),
    Env: environment(version, input.secrets),
    Labels: labels(input),
    StopSignal: 'SIGTERM',
    StopTimeout: 5,
    Healthcheck: { Test: ['NONE'] },
    Tty: false,
    OpenStdin: false,
    AttachStdin: false,
    ExposedPorts: {},
    HostConfig: hostConfig(input),
    NetworkingConfig: {
      EndpointsConfig: { [input.network]: input.address === undefined ? {} : { IPAMConfig: { IPv4Address: input.address } } },
    },
  };
}

function command(kind: ImageKind, memory: number, image: ImageFacts) {
  const { runner } = KINDS[kind];
  if (runner === undefined)
    return { Entrypoint: [...image.entrypoint], Cmd: [...image.command], WorkingDir: image.workingDirectory || '/' };
  if (runner === 'python') return PYTHON_COMMAND;
  const heap = Math.max(16, Math.floor(memory * HEAP_SHARE));
  return {
    Entrypoint: ['node', `--max-old-space-size=${heap}`, '/opt/kiln/runner.mjs'],
    Cmd: [] as string[],
    WorkingDir: '/app',
  };
}

function environment(version: FunctionVersion, secrets: Readonly<Record<string, string>>): string[] {
  const own: Record<string, string | undefined> = { HOME: '/tmp', ...instanceEnvironment(version, SOCKET_PATH) };
  // Node would size its thread pool by the machine's cores, not by the container's share.
  if (KINDS[version.kind].runner === 'node') own['UV_THREADPOOL_SIZE'] = '4';
  const all = { ...version.config.env, ...secrets, ...own };
  return Object.entries(all).flatMap(([key, value]) => (value === undefined ? [] : [`${key}=${value}`]));
}

// The engine merges the image's own labels in, so every label that Kiln reads is set here.
function labels({ node, instance, version }: ContainerInput): Record<string, string> {
  return {
    [NODE_LABEL]: node,
    [ROLE_LABEL]: INSTANCE_ROLE,
    'kiln.function': version.function,
    'kiln.version': String(version.version),
    'kiln.instance': instance,
    'kiln.kind': version.kind,
  };
}

/** The control group of the instances of all nodes on an engine, in the engine's form. */
export function functionsCgroup(cgroupDriver: string): string {
  return cgroupDriver === 'systemd' ? 'faas.slice' : '/faas';
}

function hostConfig({ version: { config }, image, network, socketFolder, cgroupDriver, cgroupVersion }: ContainerInput) {
  const memory = config.memory * 1024 * 1024;
  return {
    ...HARDENED,
    NetworkMode: network,
    PublishAllPorts: false,
    PortBindings: {},
    Binds: socketFolder === undefined ? [] : [`${socketFolder}:/run/kiln:ro`],
    Privileged: false,
    CapAdd: [],
    Tmpfs: tmpfs(image.volumes),
    ShmSize: 16 * 1024 * 1024,
    PidMode: '',
    UTSMode: '',
    UsernsMode: '',
    CgroupnsMode: 'private' as const,
    CgroupParent: functionsCgroup(cgroupDriver),
    Devices: [],
    DeviceRequests: [],
    GroupAdd: [],
    ExtraHosts: [],
    Links: [],
    VolumesFrom: [],
    PidsLimit: 128,
    Memory: memory,
    MemorySwap: memorySwap(memory, cgroupDriver === 'systemd'),
    ...(cgroupVersion === '1' && { MemorySwappiness: 0 }),
    NanoCpus: Math.round(config.cpu * 1e9),
    OomKillDisable: false,
    Ulimits: [
      { Name: 'nofile', Soft: 1024, Hard: 4096 },
      { Name: 'core', Soft: 0, Hard: 0 },
    ],
    // The agent reads all output, so the engine writes none to its disk.
    LogConfig: { Type: 'none', Config: {} },
  };
}

// A VOLUME would be a writable, unbounded path on the host's disk, so it becomes a small tmpfs.
function tmpfs(volumes: readonly string[]): Record<string, string> {
  const own = Object.fromEntries(
    volumes.filter((path) => path !== '/tmp').map((path) => [path, 'rw,nosuid,nodev,noexec,size=1m,nr_inodes=1024,mode=1777']),
  );
  return { ...own, '/tmp': 'rw,nosuid,nodev,noexec,size=64m,nr_inodes=16384,mode=1777' };
}
