import {
  planFor,
  readIntroduction,
  readLogPage,
  readPosition,
  type RelayEffect,
  type RelayEvent,
} from '@mangrove/protocol';
import type { Link } from './link.js';
import type { OpenedRoom } from './opened-room.js';
import type { RelayPorts } from './ports.js';

type Kind =
  | 'read-log'
  | 'keep-part'
  | 'read-beyond'
  | 'answer-diff'
  | 'read-parts'
  | 'read-position'
  | 'finish-beyond'
  | 'read-introduction';

/** What a link asks of the store of its room alone. */
export async function answerLink(
  room: OpenedRoom,
  link: Link,
  ports: RelayPorts,
  effect: Extract<RelayEffect, { kind: Kind }>,
): Promise<RelayEvent | undefined> {
  switch (effect.kind) {
    case 'read-log': {
      const { after, met } = effect;
      return room.read(function* (tx) {
        return { kind: 'log-read', ...(yield* readLogPage(tx, room.ref, after, met)) };
      });
    }
    case 'keep-part': {
      const { trieKey } = effect.part;
      return { kind: 'part-kept', trieKey, have: await room.keepPart(effect.part) };
    }
    case 'read-position':
      ports.counters.add('probes');
      return { kind: 'position-read', position: await room.read(readPosition) };
    case 'finish-beyond':
      return { kind: 'beyond-done', pulled: effect.pulled, ...(await room.standing()) };
    case 'read-introduction':
      return room.read((tx) => readIntroduction(tx, effect.at));
    case 'read-beyond':
    case 'answer-diff':
    case 'read-parts':
      await link.committed();
      await link.drained();
      if (effect.kind === 'answer-diff') return room.answerDiff(effect, () => link.isOpen);
      await ports.turns.take();
      return room.read(planFor(room.ref, effect));
  }
}
