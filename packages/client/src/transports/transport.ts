/** What a transport tells, in this order: opened, frames, closed; then opened again. */
export interface TransportEvents {
  opened(): void;
  frame(bytes: Uint8Array): void;
  /** `final`: the relay will not have us; the transport does not try again by itself. */
  closed(info: { readonly code: number; readonly reason: string; readonly final: boolean }): void;
  /** A new attempt begins. */
  connecting(): void;
}

/**
 * An ordered stream of frames to a relay that reconnects by itself. Every implementor owes: frames arrive whole and in order or
 * the connection ends; nothing is kept over a reconnect (what was not acknowledged is sent again by the caller); a peer that
 * fell silent is noticed and the connection ended.
 */
export interface Transport {
  /** Dropped when not open. */
  send(frame: Uint8Array): void;
  /** Something was gained over this connection: when it ends, the next attempt begins after the shortest delay. */
  gained(): void;
  /** Ends the connection, if any, and tries again at once. */
  reconnect(): void;
  close(): void;
}
