import { bodyToBytes, type Delta, deriveClientId } from '@mangrove/protocol';
import * as Y from 'yjs';
import { hash } from './keys.js';
import { ProtocolClient } from './protocol-client.js';
import { type DraftOptions, TestReplica } from './test-replica.js';

/** Somebody who writes in the room's document without a browser: real keys, real deltas, honest or not as a test wants it. */
export class RemoteAuthor {
  readonly replica: TestReplica;
  readonly client: ProtocolClient;
  readonly #ydoc = new Y.Doc();
  readonly #nonce = 1;

  /** Admitted by the relay, so that everybody in the room has the certificate. */
  static async join(relayUrl: string, room: string): Promise<RemoteAuthor> {
    const replica = new TestReplica(room);
    return new RemoteAuthor(replica, await ProtocolClient.connect(relayUrl, replica));
  }

  private constructor(replica: TestReplica, client: ProtocolClient) {
    this.replica = replica;
    this.client = client;
    this.#ydoc.clientID = deriveClientId(hash, replica.roomId, replica.id, this.#nonce);
  }

  /** The delta that this text at the beginning makes; it is not sent yet. */
  write(text: string, options: DraftOptions = {}): Delta {
    let update: Uint8Array | undefined;
    this.#ydoc.once('update', (made: Uint8Array) => {
      update = made;
    });
    this.#ydoc.getText('content').insert(0, text);
    return this.draft(update as Uint8Array, options);
  }

  /** A delta with any payload. */
  draft(payload: Uint8Array, options: DraftOptions = {}): Delta {
    const body = bodyToBytes({ name: { kind: 'document', collection: '', id: 'note' }, payload });
    return this.replica.draft({ document: 'note', nonces: [this.#nonce], body, ...options });
  }

  async close(): Promise<void> {
    await this.client.close();
  }
}
