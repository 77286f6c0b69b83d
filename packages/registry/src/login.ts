/** A login in the form that an engine takes for a pull or a push. */
export interface RegistryLogin {
  username: string;
  password: string;
  serveraddress: string;
  /** Replaces the password, if the registry issued one. */
  identitytoken?: string;
}

/** The registry of references without a host. */
export const DEFAULT_REGISTRY = 'docker.io';
