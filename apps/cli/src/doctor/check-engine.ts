import { openEngine } from '../engine.js';
import { type Check, failedCheck, ok, warning } from './check.js';
import { engineFlaws, runcFlaws } from './known-flaws.js';

const UPDATE = 'update Docker Engine and runc; until then let only code you trust run here';

type EngineVersion = Awaited<ReturnType<Awaited<ReturnType<typeof openEngine>>['version']>>;

interface EngineInfo {
  CgroupVersion?: string;
  CgroupDriver?: string;
  SecurityOptions?: string[];
  MemoryLimit?: boolean;
  SwapLimit?: boolean;
  PidsLimit?: boolean;
  CpuCfsQuota?: boolean;
}

export async function checkEngine(host: string): Promise<Check[]> {
  try {
    const engine = await openEngine(host);
    const [version, info]: [EngineVersion, EngineInfo] = await Promise.all([engine.version(), engine.info()]);
    return [
      ok('docker engine', `${version.Version} (API ${version.ApiVersion}) at ${host}`),
      checkFlaws('engine version', version.Version, engineFlaws({ version: version.Version })),
      checkRunc(version),
      checkCgroups(info),
      checkSeccomp(info),
      checkLsm(info),
    ];
  } catch (error) {
    const detail = `does not answer at ${host}: ${(error as Error).message}`;
    return [failedCheck('docker engine', detail, 'start Docker, or set DOCKER_HOST to where it is')];
  }
}

function checkRunc({ Components = [] }: EngineVersion): Check {
  const runc = Components.find(({ Name }) => Name === 'runc');
  if (!runc) return warning('runc version', 'the engine does not say which runc it runs', 'check it: runc --version');
  const packaged = runc.Details?.GitCommit;
  const name = packaged ? `${runc.Version} (${packaged})` : runc.Version;
  const flaws = runcFlaws({ version: runc.Version, package: packaged });
  return checkFlaws('runc version', name, flaws, '. It isolates trusted code, but not hostile code');
}

function checkFlaws(name: string, version: string, flaws: readonly string[], meaning = ''): Check {
  if (flaws.length === 0) return ok(name, `${version} has none of the flaws known to this check`);
  return warning(name, `${version} has known flaws. ${flaws.join('. ')}${meaning}`, UPDATE);
}

function checkCgroups(info: EngineInfo): Check {
  const mode = `version ${info.CgroupVersion ?? '1'}, driver ${info.CgroupDriver ?? 'unknown'}`;
  const limits = { memory: info.MemoryLimit, swap: info.SwapLimit, processes: info.PidsLimit, cpu: info.CpuCfsQuota };
  const missing = Object.entries(limits)
    .filter(([, there]) => there === false)
    .map(([name]) => name);
  const fix = 'enable the cgroup controllers in the kernel (cgroup_enable=memory swapaccount=1)';
  return missing.length === 0 ? ok('cgroups', mode) : warning('cgroups', `${mode}; limits without effect here: ${missing.join(', ')}`, fix);
}

function checkSeccomp({ SecurityOptions = [] }: EngineInfo): Check {
  return SecurityOptions.some((option) => option.includes('name=seccomp'))
    ? ok('seccomp', 'system calls are filtered')
    : failedCheck('seccomp', 'the engine filters no system calls', 'use a kernel and an engine with seccomp');
}

function checkLsm({ SecurityOptions = [] }: EngineInfo): Check {
  const active = ['apparmor', 'selinux'].filter((name) => SecurityOptions.some((option) => option.includes(`name=${name}`)));
  if (active.length > 0) return ok('security module', active.join(', '));
  const fix = 'enable one of them on this machine for a second wall';
  return warning('security module', 'neither AppArmor nor SELinux confines the containers here', fix);
}
