import { equalBytes, type Hash, MangroveError, spellRelay, utf8ToBytes } from '@mangrove/protocol';
import { PeerFigures } from './peer-figures.js';

/** A relay that this one syncs all rooms with that are in use at either. */
export interface Peer {
  /** Base URL, as a client would be given it. */
  readonly url: string;
  /** What it knows its peers by. */
  readonly token: string;
}

/** One socket to another relay. */
export interface Dialled {
  send(frame: Uint8Array): void;
  /** Bytes that were given to `send` and are not yet on their way. */
  bufferedBytes(): number;
  /** Nothing more is read until `resume`. */
  pause(): void;
  resume(): void;
  close(): void;
}

export interface DialEvents {
  frame(bytes: Uint8Array): void;
  /** Once, also where it was never open; not after {@link Dialled.close}. */
  closed(code: number, reason: string): void;
}

/** Reaches a room at another relay; a peer that fell silent is noticed, and the connection ended. */
export type Dial = (url: string, room: string, events: DialEvents) => Dialled;

/** What a relay knows of its peers. */
export interface Federation {
  /** What the relay shows to itself, where a bridge begins. */
  readonly token: string;
  readonly peers: readonly Peer[];
  readonly dial: Dial;
  readonly figures: PeerFigures;
  /** Whether whoever shows this in place of a token is a peer. */
  isPeer(token: string | undefined): boolean;
}

/** As an operator gives them. */
export interface FederationOptions {
  /** Without a token of its own a peer is shown `peerToken`. */
  readonly peers?: readonly (string | { readonly url: string; readonly token?: string | undefined })[] | undefined;
  /** The secret by which other relays are known as peers; nobody is without it, but for whom `authenticate` says so. */
  readonly peerToken?: string | undefined;
}

const TOKEN_LENGTH_MIN = 16;

/** Undefined for a relay that has no peers. Throws `OPTION_INVALID`. `own`: a secret of this process. */
export function federationOf(
  { peers = [], peerToken }: FederationOptions,
  hash: Hash,
  dial: Dial,
  own: string,
): Federation | undefined {
  if (peerToken !== undefined && peerToken.length < TOKEN_LENGTH_MIN)
    invalid('peerToken', `it is to have ${TOKEN_LENGTH_MIN} characters or more`);
  if (peers.length === 0 && peerToken === undefined) return undefined;
  const known = peers.map((peer) => peerOf(typeof peer === 'string' ? { url: peer } : peer, peerToken));
  const tokens = [own, ...(peerToken === undefined ? [] : [peerToken])].map((token) => hash(utf8ToBytes(token)));
  return {
    token: own,
    peers: known,
    dial,
    figures: new PeerFigures(known.map(({ url }) => url)),
    isPeer: (given) => {
      if (given === undefined) return false;
      // Hashes are compared, so that the time it takes says nothing of the token.
      const hashed = hash(utf8ToBytes(given));
      return tokens.some((token) => equalBytes(token, hashed));
    },
  };
}

function peerOf({ url, token }: { readonly url: string; readonly token?: string | undefined }, common?: string): Peer {
  const spelled =
    (URL.canParse(url) ? spellRelay(new URL(url)) : undefined) ?? invalid('peers', `${url} is no ws:// or wss:// URL`);
  const shown = token ?? common;
  if (shown === undefined) return invalid('peerToken', `without it ${url} would not know this relay for a peer`);
  return { url: spelled, token: shown };
}

function invalid(option: string, reason: string): never {
  throw new MangroveError('OPTION_INVALID', { option, reason });
}
