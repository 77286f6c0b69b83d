import { lookup } from 'node:dns/promises';

/**
 * IPv4 addresses that no function may reach: those of the nodes and of the store. A name that does not resolve is left out until
 * it does.
 */
export async function protectedAddresses(urls: readonly string[]): Promise<string[]> {
  const hosts = new Set(urls.map(hostOf).filter((host) => host !== '' && host !== 'localhost' && !host.startsWith('127.')));
  const found = await Promise.all([...hosts].map(addressesOf));
  return found.flat();
}

async function addressesOf(host: string): Promise<string[]> {
  try {
    return (await lookup(host, { all: true, family: 4 })).map(({ address }) => address);
  } catch {
    return [];
  }
}

function hostOf(url: string): string {
  return URL.canParse(url) ? new URL(url).hostname : '';
}
