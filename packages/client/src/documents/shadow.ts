import * as Y from 'yjs';

/** The name of a worker that is to be a shadow: it has the script of the engine that starts it. */
export const SHADOW_NAME = 'mangrove-shadow';

export interface Tried {
  readonly update: Uint8Array;
  /** A whole document: others begin with it, and have nothing of what it says yet. */
  readonly isWhole: boolean;
}

/** `load`: what is there, beside what was loaded before or, where `isFresh`, alone. `try`: what it would be to apply these as well. */
export type ShadowOrder =
  | { readonly kind: 'load'; readonly isFresh: boolean; readonly updates: readonly Uint8Array[] }
  | { readonly kind: 'try'; readonly tried: readonly Tried[] };

/** Answers come in the order of what is asked; the first is not asked for, and says that the worker has begun. */
export interface ShadowAnswer {
  /** What was thrown; then nothing is loaded any more. */
  readonly fault: string | undefined;
}

/** A document that can be given up with the worker that it is in. What a page would do with an update is done to it first [CX9]. */
export class Shadow {
  #ydoc = new Y.Doc();

  run(order: ShadowOrder): ShadowAnswer {
    try {
      if (order.kind === 'load') this.#load(order.updates, order.isFresh);
      else this.#try(order.tried);
      return { fault: undefined };
    } catch (error) {
      this.#renew();
      return { fault: error instanceof Error ? error.message : String(error) };
    }
  }

  #load(updates: readonly Uint8Array[], isFresh: boolean): void {
    if (isFresh) this.#renew();
    apply(this.#ydoc, updates);
  }

  #try(tried: readonly Tried[]): void {
    for (const { update, isWhole } of tried) if (isWhole) apply(new Y.Doc(), [update]);
    apply(
      this.#ydoc,
      tried.map(({ update }) => update),
    );
  }

  #renew(): void {
    this.#ydoc.destroy();
    this.#ydoc = new Y.Doc();
  }
}

/** As a page applies what comes from elsewhere. */
function apply(ydoc: Y.Doc, updates: readonly Uint8Array[]): void {
  for (const update of updates) {
    for (const struct of Y.decodeUpdate(update).structs) {
      // A page may have any root as a text, the one kind that tidies up when something comes.
      if (struct instanceof Y.Item && typeof struct.parent === 'string') ydoc.get(struct.parent, Y.Text);
    }
  }
  const applyAll = (): void => {
    for (const update of updates) Y.applyUpdate(ydoc, update);
  };
  Y.transact(ydoc, applyAll, undefined, false);
}

/** Makes this worker a shadow. */
export function exposeShadow(): void {
  const shadow = new Shadow();
  const answer = (message: ShadowAnswer): void => globalThis.postMessage(message);
  globalThis.addEventListener('message', ({ data }: MessageEvent<ShadowOrder>) => answer(shadow.run(data)));
  answer({ fault: undefined });
}
