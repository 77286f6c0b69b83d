import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { CreatedKey, Deployed } from '@kiln/contract/api/control-api';
import { type Cluster, startCluster } from '@kiln/testing/cluster';
import { engine } from '@kiln/testing/engine';
import { LOGIN, type Service, startMoto, startRegistry } from '@kiln/testing/service';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { example } from '../support/inside.js';
import { type ActionResult, runAction } from './action-run.js';

let registry: Service;
let cluster: Cluster;
let work: string;
let repository: string;
let key: string;

beforeAll(async () => {
  work = mkdtempSync(join(tmpdir(), 'kiln-e2e-action-'));
  repository = join(work, 'repository');
  cpSync(example('repository'), repository, { recursive: true });
  registry = await startRegistry({ password: true });
  const logins = join(work, 'registries.json');
  writeFileSync(logins, JSON.stringify({ auths: { [registry.host]: LOGIN } }), { mode: 0o600 });
  cluster = await startCluster({ env: { KILN_REGISTRY: `${registry.host}/kiln`, KILN_REGISTRY_AUTH: logins } });
  key = (await cluster.api('POST', '/v1/keys', { name: 'github', scopes: ['deploy'] })).json<CreatedKey>().apiKey;
}, 600_000);
afterAll(async () => {
  await cluster?.stop();
  await registry?.stop();
  await removeImages([`${registry?.host}/*/*`, '*.amazonaws.com/team/kiln/*']);
  rmSync(work, { recursive: true, force: true });
});

function write(files: Record<string, string>): void {
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(repository, path)), { recursive: true });
    writeFileSync(join(repository, path), content);
  }
}

function push(inputs: Record<string, string> = {}): Promise<ActionResult> {
  const common = { 'kiln-url': `http://127.0.0.1:${cluster.router.ports.control}`, 'kiln-key': key };
  const login = { registry: `${registry.host}/kiln`, 'registry-username': LOGIN.username, 'registry-password': LOGIN.password };
  return runAction({ ...common, ...('ecr-repository' in inputs ? {} : login), ...inputs }, repository);
}

/** What was tagged for a push stays on the engine that built it. */
async function removeImages(references: string[]): Promise<void> {
  const found = await engine.listImages({ filters: { reference: references } });
  for (const tag of found.flatMap(({ RepoTags, RepoDigests }) => [...(RepoTags ?? []), ...(RepoDigests ?? [])])) {
    if (tag.startsWith(`${registry.host}/`) || tag.includes('/team/kiln/'))
      await engine
        .getImage(tag)
        .remove()
        .catch(() => undefined);
  }
}

/** The step's output as a later step reads it. */
function functionsOf({ output }: ActionResult): Deployed[] {
  const [, , json = '[]'] = /^functions<<(\S+)\n(.*)\n\1$/m.exec(output) ?? [];
  return JSON.parse(json) as Deployed[];
}

async function inRegistry(repositoryName: string, digest: string): Promise<number> {
  const authorization = `Basic ${Buffer.from(`${LOGIN.username}:${LOGIN.password}`).toString('base64')}`;
  const accept = 'application/vnd.docker.distribution.manifest.v2+json';
  const address = `http://${registry.host}/v2/${repositoryName}/manifests/${digest}`;
  return (await fetch(address, { headers: { authorization, accept } })).status;
}

describe('the action, on a push', () => {
  it('builds on this machine, pushes, registers, and says so in every place', async () => {
    const result = await push();
    expect(result.code, result.log).toBe(0);
    const deployed = functionsOf(result);
    expect(deployed.map(({ function: name, version, changed }) => [name, version, changed])).toEqual([
      ['clock', 1, true],
      ['greeting', 1, true],
    ]);
    expect((await cluster.call('/fn/greeting/?name=you')).text).toBe('Hello, you\n');
    for (const { function: name, digest, url } of deployed) {
      const [version] = await cluster.versions(name);
      expect(version).toMatchObject({
        image: `${registry.host}/kiln/${name}@${digest}`,
        createdBy: 'github',
        message: 'owner/shop@f00dcaf',
      });
      expect(await inRegistry(`kiln/${name}`, digest)).toBe(200);
      expect(result.summary).toContain(`| ${name} | v1 |`);
      expect(result.summary).toContain(`<${url}>`);
      expect(result.log).toMatch(new RegExp(`^::group::${name}$[^]*^::endgroup::$`, 'm'));
    }
    expect((await cluster.client.functions.get('clock')).project).toBe('example');
  });

  it('shows no secret but to have it masked', async () => {
    const { log, summary, output } = await push({ force: 'true' });
    const shown = log.replaceAll(/^::add-mask::.*$/gm, '') + summary + output;
    for (const secret of [key, LOGIN.password]) {
      expect(log).toContain(`::add-mask::${secret}\n`);
      expect(shown).not.toContain(secret);
    }
  });

  it('builds nothing where nothing changed', async () => {
    const result = await push();
    expect(result.code, result.log).toBe(0);
    expect(functionsOf(result).map(({ changed }) => changed)).toEqual([false, false]);
    expect(result.log).not.toContain('pushing');
    expect(result.summary).toContain('v1 (unchanged)');
  });

  it('builds only what changed, and only what was asked for', async () => {
    write({
      'functions/clock/index.js': 'exports.clock = (req, res) => res.send("tick");\n',
      'functions/greeting/index.js': 'exports.greeting = (req, res) => res.send("new");\n',
    });
    const one = await push({ functions: 'clock', path: './functions/../' });
    expect(functionsOf(one).map(({ function: name, version }) => [name, version])).toEqual([['clock', 2]]);
    const all = await push();
    expect(functionsOf(all).map(({ function: name, version, changed }) => [name, version, changed])).toEqual([
      ['clock', 2, false],
      ['greeting', 2, true],
    ]);
    expect((await cluster.call('/fn/clock/')).text).toBe('tick');
  });

  it('fails with an annotation where one function does, deploys the others, and takes no orders from what it builds', async () => {
    write({
      'functions/clock/index.js': 'throw new Error("broken\\n::error::forged\\n ::add-mask::forged");\n',
      'functions/greeting/index.js': 'exports.greeting = (req, res) => res.send("newer");\n',
    });
    const result = await push({ prune: 'true' });
    expect(result.code).toBe(1);
    expect(result.log).toMatch(/^::error title=clock was not deployed::.*broken%0A.*forged/m);
    expect(result.log).not.toMatch(/^\s*::(error|add-mask)::forged/m);
    expect(result.log).toContain('forged');
    expect(result.summary).toMatch(/\| clock \| failed: /);
    expect((await cluster.call('/fn/greeting/')).text).toBe('newer');
    expect((await cluster.call('/fn/clock/')).text).toBe('tick');
  });

  it('prunes when it is told to', async () => {
    rmSync(join(repository, 'functions/clock'), { recursive: true });
    const result = await push({ prune: 'true' });
    expect(result.code, result.log).toBe(0);
    expect(result.summary).toContain('| clock | removed |');
    expect((await cluster.call('/fn/clock/')).status).toBe(404);
  });

  it('takes inputs for what they are, not for code', async () => {
    const result = await push({ path: '$(touch hacked); "`touch hacked`"' });
    expect(result.code).not.toBe(0);
    expect(result.log).toContain('there is no folder');
    expect(result.log).toContain('$(touch hacked)');
  });
});

it('finds the registry of an AWS account, and makes the repository that a push needs', async () => {
  const moto = await startMoto();
  try {
    const keys = { AWS_ACCESS_KEY_ID: 'test', AWS_SECRET_ACCESS_KEY: 'test', AWS_ENDPOINT_URL_ECR: `http://${moto.host}` };
    write({ 'functions/greeting/index.js': 'exports.greeting = (req, res) => res.send("in the cloud");\n' });
    const inputs = { 'kiln-url': `http://127.0.0.1:${cluster.router.ports.control}`, 'kiln-key': key };
    const result = await runAction({ ...inputs, 'ecr-repository': 'team/kiln', 'aws-region': 'eu-west-1' }, repository, keys);
    // There is no such registry to push to; everything up to that is real.
    expect(result.code).not.toBe(0);
    expect(result.log).toContain('pushing 123456789012.dkr.ecr.eu-west-1.amazonaws.com/team/kiln/greeting:');
    expect(result.log).toMatch(/^::error title=greeting was not deployed::/m);
    const { ECRClient, DescribeRepositoriesCommand } = await import('@aws-sdk/client-ecr');
    const credentials = { accessKeyId: 'test', secretAccessKey: 'test' };
    const client = new ECRClient({ region: 'eu-west-1', endpoint: `http://${moto.host}`, credentials });
    const { repositories = [] } = await client.send(new DescribeRepositoriesCommand({}));
    client.destroy();
    expect(repositories.map(({ repositoryName }) => repositoryName)).toEqual(['team/kiln/greeting']);
  } finally {
    await moto.stop();
  }
});
