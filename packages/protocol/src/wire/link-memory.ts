import { idToBytes } from '../ids.js';
import type { HeadStatement } from '../head-statement.js';
import { type DeltaParts, partsOfDelta } from './delta-parts.js';
import type { Message } from './messages.js';

/** Bases of each sort that one direction of one connection remembers; a protocol constant. */
export const SLOTS = 32;
/** A statement that names more replicas is told whole and not remembered. */
export const BASE_VECTOR_MAX = 256;

/**
 * What was told in one direction of one connection, as far as what follows is told by its difference from it [SY21]. Both ends keep one
 * for each direction and begin with an empty one: they stay alike as messages arrive in order, each once. What is in which slot depends on
 * ids alone, so that a writer who has forgotten tells the whole again and nothing else is to be agreed on, and so that all who were told the
 * same deltas have the same bases.
 */
export class LinkMemory {
  #deltas: (DeltaParts | undefined)[] = [];
  #heads: (HeadStatement | undefined)[] = [];
  #lastHead: HeadStatement | undefined;
  #lastSlot = 0;
  #lastSeq = 0;

  /** The number that was acknowledged last, 0 for none. */
  get lastSeq(): number {
    return this.#lastSeq;
  }

  /** The slot of the delta that was told last: what is typed has it again and again. */
  get lastSlot(): number {
    return this.#lastSlot;
  }

  delta(slot: number): DeltaParts | undefined {
    return this.#deltas[slot];
  }

  head(slot: number): HeadStatement | undefined {
    return this.#heads[slot];
  }

  /** The statement that was told last, whoever made it. */
  get lastHead(): HeadStatement | undefined {
    return this.#lastHead;
  }

  keepDelta(parts: DeltaParts): void {
    this.#lastSlot = slotOfDelta(parts);
    this.#deltas[this.#lastSlot] = parts;
  }

  keepSeqs(seqs: readonly number[]): void {
    if (seqs.length > 0) this.#lastSeq = Math.max(...seqs);
  }

  keepHead(statement: HeadStatement): void {
    this.#lastHead = statement.vector.size <= BASE_VECTOR_MAX ? statement : undefined;
    this.#heads[slotOfHead(statement)] = this.#lastHead;
  }

  /** A reader that has missed something knows no base any more; a writer that is told so begins anew. */
  forget(): void {
    this.#deltas = [];
    this.#heads = [];
    this.#lastHead = undefined;
    this.#lastSlot = 0;
    this.#lastSeq = 0;
  }

  /** What the bytes of a message depend on beside the message: where two memories agree in it, they are the same bytes. */
  contextOf(message: Message): readonly unknown[] {
    switch (message.kind) {
      case 'head':
        return [this.#heads[slotOfHead(message.statement)]];
      case 'heads':
        return [this.#lastHead, ...message.statements.map((statement) => this.#heads[slotOfHead(statement)])];
      case 'push':
      case 'deltas': {
        const parts = message.deltas.map(partsOfDelta);
        return [this.#lastSlot, ...parts.map((each) => each && this.#deltas[slotOfDelta(each)])];
      }
      case 'ack':
        return [this.#lastSeq];
      default:
        return [];
    }
  }

  /** Remembers what a message tells, as writing it does. */
  note(message: Message): void {
    if (message.kind === 'head') this.keepHead(message.statement);
    else if (message.kind === 'heads') for (const statement of message.statements) this.keepHead(statement);
    else if (message.kind === 'ack') this.keepSeqs(message.seqs);
    else if (message.kind === 'push' || message.kind === 'deltas')
      for (const delta of message.deltas) {
        const parts = partsOfDelta(delta);
        if (parts !== undefined) this.keepDelta(parts);
      }
  }
}

export function slotOfDelta({ front, keyId }: Pick<DeltaParts, 'front' | 'keyId'>): number {
  return ((front.at(-1) as number) + (keyId.at(-1) as number)) % SLOTS;
}

export function slotOfHead({ replica }: Pick<HeadStatement, 'replica'>): number {
  return (idToBytes(replica).at(-1) as number) % SLOTS;
}
