/** What the address of the page says: which room, and where its relay is. */

export const DEFAULT_ROOM = 'welcome';

export interface Address {
  readonly room: string;
  /** No relay: local only. */
  readonly relay: string | undefined;
  /** A `relay` parameter that was not followed. */
  readonly refusedRelay: string | undefined;
}

export function readAddress(href: string): Address {
  const url = new URL(href);
  const room = url.searchParams.get('room') || DEFAULT_ROOM;
  const given = url.searchParams.get('relay');
  if (given === 'none') return { room, relay: undefined, refusedRelay: undefined };

  const sameOrigin = `${url.protocol === 'https:' ? 'wss:' : 'ws:'}//${url.host}`;
  const override = given ? readLoopback(given) : undefined;
  return { room, relay: override ?? sameOrigin, refusedRelay: given && !override ? given : undefined };
}

/** The address of another room, with the relay that was chosen here. */
export function roomHref(href: string, room: string): string {
  const url = new URL('/', href);
  url.searchParams.set('room', room);
  const relay = new URL(href).searchParams.get('relay');
  if (relay) url.searchParams.set('relay', relay);
  return url.href;
}

/** Loopback only: otherwise a link could send what is typed here to whoever made the link. */
function readLoopback(relay: string): string | undefined {
  if (!URL.canParse(relay)) return undefined;
  const { protocol, hostname, origin } = new URL(relay);
  const isLoopback = hostname === 'localhost' || hostname === '[::1]' || /^127(\.\d+){3}$/.test(hostname);
  return isLoopback && (protocol === 'ws:' || protocol === 'wss:') ? origin : undefined;
}
