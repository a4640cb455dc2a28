import { type BackupFrame, BACKUP_MAGIC } from '../../packages/protocol/src/backup/frame.js';
import { bytesToHex, concatBytes } from '../../packages/protocol/src/bytes.js';
import { trieKeyOf } from '../../packages/protocol/src/delta.js';
import { deltasIn, effectsOf, framesOf, framesToFile, tablesOf } from '../support/backups.js';
import { makeDelta, record, replicaOf, room } from './fixture.js';
import { codeOf } from './vectors.js';

const SMALL = { stepMax: 4, lastNewsMax: 2 };

/** The third of the first replica never came, and two come later. */
const deltas = Array.from({ length: 12 }, (_, i) =>
  makeDelta({ replica: replicaOf(i % 2), seq: Math.floor(i / 2) + 1, hlc: 1_000 + i, name: record(`r${i}`) }),
).filter(({ replica, seq }) => replica !== replicaOf(0) || seq !== 3);

/** A whole backup and the one after it, what they hold, and files that are refused [BK1–BK4]. */
export function makeBackupVectors(): unknown {
  const tables = tablesOf(deltas.slice(0, 9));
  const frames = framesOf(tables, undefined, undefined, SMALL);
  const end = frames.at(-1) as BackupFrame & { kind: 'end' };
  tablesOf(deltas.slice(9), tables);
  const later = framesOf(tables, end.mark, undefined, SMALL);
  const [header, certificates, ...rest] = frames as [BackupFrame, BackupFrame, ...BackupFrame[]];
  const file = framesToFile(frames);
  const spoiled = file.slice();
  spoiled[300] = (spoiled[300] as number) ^ 1;
  const invalid = {
    nothing: new Uint8Array(),
    'another magic': concatBytes(Uint8Array.of(1), file),
    'an end that is missing': file.subarray(0, -1),
    'a frame that is missing': framesToFile(frames.slice(0, -1)),
    'a bit that has changed': spoiled,
    'a frame left out of the chain': concatBytes(
      framesToFile([header]),
      file.subarray(framesToFile([header, certificates]).length),
    ),
    'a length that lies': concatBytes(BACKUP_MAGIC, Uint8Array.of(1, 0xff, 0xff, 0xff, 0xff)),
    'a length of one more than there may be': concatBytes(BACKUP_MAGIC, Uint8Array.of(1, 0, 0x90, 0, 1)),
    'deltas before the header': framesToFile([...rest.slice(0, 2), header]),
    'a section without deltas': framesToFile([header, ...rest.filter(({ kind }) => kind !== 'deltas')]),
    'deltas that are in no section': framesToFile([header, ...rest.filter(({ kind }) => kind !== 'section')]),
    'an end of other deltas': framesToFile([header, ...rest.slice(0, -1), { ...end, deltas: 8 }]),
  };
  return {
    roomId: room.roomId,
    valid: [frames, later].map((all) => ({
      bytes: bytesToHex(framesToFile(all)),
      frames: all.map(({ kind }) => kind),
      trieKeys: deltasIn(all).map((delta) => bytesToHex(trieKeyOf(delta))),
      marks: all.flatMap((frame) => ('mark' in frame ? [plain(frame.mark)] : [])),
    })),
    invalid: Object.entries(invalid).map(([name, bytes]) => ({
      ...{ name, bytes: bytesToHex(bytes) },
      code: codeOf(() => {
        const { error } = effectsOf(bytes);
        if (error !== undefined) throw error;
      }),
    })),
  };
}

/** A mark as JSON has it. */
function plain(mark: (BackupFrame & { kind: 'end' })['mark']): unknown {
  if (mark === undefined) return null;
  const held = [...mark.held].sort(([a], [b]) => (a < b ? -1 : 1)).map(([replica, seqs]) => ({ replica, ...seqs }));
  return { held, through: mark.through === undefined ? null : bytesToHex(mark.through) };
}
