/** A login as an engine takes it with a pull or a push. */
export interface RegistryLogin {
  username: string;
  password: string;
  serveraddress: string;
  /** In place of a password, where a registry gave one. */
  identitytoken?: string;
}

/** The registry that references without a host mean. */
export const DEFAULT_REGISTRY = 'docker.io';
