import type { Awareness } from 'y-protocols/awareness';
import type * as Y from 'yjs';

export interface ProviderEvents {
  status: (event: { readonly status: 'connected' | 'connecting' | 'disconnected' }) => void;
  sync: (isSynced: boolean) => void;
  synced: (isSynced: boolean) => void;
}

/** What an editor binding expects of a Yjs provider, in the shape of y-websocket's. `connect` and `disconnect` act on this document alone. */
export interface DocumentProvider {
  readonly doc: Y.Doc;
  readonly awareness: Awareness;
  /** True once the room was in sync, or from `ready` on where there is no relay. */
  readonly synced: boolean;
  on<Name extends keyof ProviderEvents>(event: Name, listener: ProviderEvents[Name]): void;
  once<Name extends keyof ProviderEvents>(event: Name, listener: ProviderEvents[Name]): void;
  off<Name extends keyof ProviderEvents>(event: Name, listener: ProviderEvents[Name]): void;
  connect(): void;
  disconnect(): void;
  destroy(): void;
}

type Listener = (argument: never) => void;

/** The events of a provider; a listener that throws does not keep the others from hearing. */
export class ProviderEmitter {
  readonly #listeners = new Map<keyof ProviderEvents, Set<Listener>>();
  /** What `once` put in the place of a listener, for `off` to find; a listener may wait for several events. */
  readonly #onces = new WeakMap<Listener, Map<keyof ProviderEvents, Listener>>();

  on<Name extends keyof ProviderEvents>(event: Name, listener: ProviderEvents[Name]): void {
    const listeners = this.#listeners.get(event) ?? new Set();
    this.#listeners.set(event, listeners.add(listener));
  }

  once<Name extends keyof ProviderEvents>(event: Name, listener: ProviderEvents[Name]): void {
    const once = ((argument: never) => {
      this.off(event, listener);
      (listener as Listener)(argument);
    }) as ProviderEvents[Name];
    const onces = this.#onces.get(listener) ?? new Map<keyof ProviderEvents, Listener>();
    this.#onces.set(listener, onces.set(event, once));
    this.on(event, once);
  }

  off<Name extends keyof ProviderEvents>(event: Name, listener: ProviderEvents[Name]): void {
    const listeners = this.#listeners.get(event);
    listeners?.delete(listener);
    const once = this.#onces.get(listener)?.get(event);
    if (once !== undefined) listeners?.delete(once);
  }

  emit<Name extends keyof ProviderEvents>(event: Name, argument: Parameters<ProviderEvents[Name]>[0]): void {
    for (const listener of [...(this.#listeners.get(event) ?? [])]) {
      try {
        listener(argument as never);
      } catch (error) {
        reportError(error);
      }
    }
  }

  clear(): void {
    this.#listeners.clear();
  }
}
