/** The text that names nats-servers: one URL or several, separated by commas, maybe with a user and a password in it. */

export interface NamedServers {
  /** Without users and passwords: `nats://host:port`. */
  readonly servers: readonly string[];
  readonly access?: { readonly user: string; readonly password: string };
}

/** What is wrong with the text, or undefined. Never repeats it: there may be a password in it. */
export function natsServersFault(text: string): string | undefined {
  const urls: URL[] = [];
  for (const part of parts(text)) {
    const url = urlOf(part);
    if (url === undefined || url.hostname === '')
      return 'is no URL of a nats-server, such as nats://127.0.0.1:4222';
    if (/^https?:$/.test(url.protocol))
      return `is a web address: nats-server is reached by nats://${url.hostname}:4222`;
    if (!/^(nats|tls):$/.test(url.protocol)) return `begins with ${url.protocol}//: write nats:// or tls://`;
    if (!/^\/?$/.test(url.pathname) || url.search !== '' || url.hash !== '')
      return 'has more than a host and a port in it: write nats://host:4222';
    if (!decodes(url))
      return 'has a user or password that is not percent-encoded: write %25 for %, %40 for @';
    if ((url.username === '') !== (url.password === ''))
      return 'has a user or a password without the other: give both, or leave both to nats.user and nats.password';
    urls.push(url);
  }
  if (new Set(urls.map(({ username, password }) => `${username}:${password}`)).size > 1)
    return 'names different users for its servers: they are one cluster and take the same one';
  return undefined;
}

/** Takes a text apart that has no fault. */
export function splitServers(text: string): NamedServers {
  const urls = parts(text).map((part) => urlOf(part)!);
  const servers = urls.map(({ protocol, host }) => `${protocol}//${host}`);
  const { username, password } = urls[0]!;
  if (username === '') return { servers };
  return { servers, access: { user: decodeURIComponent(username), password: decodeURIComponent(password) } };
}

function decodes({ username, password }: URL): boolean {
  try {
    decodeURIComponent(username);
    decodeURIComponent(password);
    return true;
  } catch {
    return false;
  }
}

function parts(text: string): string[] {
  return text.split(',').map((part) => part.trim());
}

function urlOf(text: string): URL | undefined {
  const whole = text.includes('://') ? text : `nats://${text}`;
  return URL.canParse(whole) ? new URL(whole) : undefined;
}
