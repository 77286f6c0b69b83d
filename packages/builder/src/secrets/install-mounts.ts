/** Steps of our Dockerfiles that fetch what a function depends on, as a private registry may have it. */
const INSTALLS =
  /^RUN (?=.*\b(?:npm (?:ci\b|install (?!--global))|(?:pnpm|yarn) install\b|pip install\b|go (?:mod download|build)\b|cargo build\b))/gm;

/** Where programs look for what goes by these ids; any other is below /run/secrets. */
const HOME: Readonly<Record<string, string>> = {
  npmrc: '/root/.npmrc',
  'yarnrc.yml': '/root/.yarnrc.yml',
  'pip.conf': '/root/.config/pip/pip.conf',
  netrc: '/root/.netrc',
};

/** A Dockerfile of ours gives each secret to its steps that install. */
export function mountSecrets(dockerfile: string, ids: readonly string[]): string {
  const mounts = ids.map((id) => {
    const target = Object.hasOwn(HOME, id) ? `,target=${HOME[id]}` : '';
    return `--mount=type=secret,id=${id}${target} `;
  });
  return dockerfile.replace(INSTALLS, (run) => run + mounts.join(''));
}
