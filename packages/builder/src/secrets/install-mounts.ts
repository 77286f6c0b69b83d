/** Steps of Kiln's own Dockerfiles that install dependencies, which may come from a private registry. */
const INSTALLS =
  /^RUN (?=.*\b(?:npm (?:ci\b|install (?!--global))|(?:pnpm|yarn) install\b|pip install\b|go (?:mod download|build)\b|cargo build\b))/gm;

/** Where programs look for the files with these ids; any other file is in /run/secrets. */
const TARGETS: Readonly<Record<string, string>> = {
  npmrc: '/root/.npmrc',
  'yarnrc.yml': '/root/.yarnrc.yml',
  'pip.conf': '/root/.config/pip/pip.conf',
  netrc: '/root/.netrc',
};

/** Mounts each secret in the steps of a Dockerfile of Kiln's own that install dependencies. */
export function mountSecrets(dockerfile: string, ids: readonly string[]): string {
  const mounts = ids.map((id) => {
    const target = Object.hasOwn(TARGETS, id) ? `,target=${TARGETS[id]}` : '';
    return `--mount=type=secret,id=${id}${target} `;
  });
  return dockerfile.replace(INSTALLS, (run) => run + mounts.join(''));
}
