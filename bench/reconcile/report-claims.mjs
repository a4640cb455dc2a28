import { table } from '../support/table.mjs';
import { bytes, count, percent } from './report-table.mjs';

const NAMES = ['index', 'two-phase', 'regions', 'vectors'];

export function renderClaims({ claims }) {
  return [
    ...(claims['two-phase'] === undefined ? [] : renderTwoPhase(claims['two-phase'])),
    ...(claims.regions === undefined ? [] : renderRegions(claims.regions)),
    ...(claims.vectors === undefined ? [] : renderVectors(claims.vectors)),
    ...NAMES.filter((name) => claims[name] === undefined).map(
      (name) => `The claim \`${name}\` was not measured in this run.`,
    ),
  ];
}

function renderTwoPhase({ replicas, writes, rows }) {
  const batches = [...new Set(rows.map(({ batch }) => batch))];
  return [
    `## ${replicas} replicas against two-phase commit (claim to beat: 40 % less overhead)`,
    [
      `${replicas} replicas in the product’s seeded simulator, one relay, ${writes} writes. **Overhead** is all messages and all bytes on all links beyond the one delivery of the deltas themselves to each of`,
      'the others, which any protocol must make. Ours is counted from encoded frames, but for the probes that a settled client sends now and then, whatever is written. Two-phase commit (Gray 1978) is counted from its definition: prepare, vote, commit and acknowledgement with',
      'each participant, with the same deltas in `prepare`, the same framing, an 8-byte transaction id, batched as ours is, and no failures. Its best case is told too: direct links from the author to',
      'all and votes that nobody signs. The two are not the same promise: 2PC ends when all have it or none, blocks when one is away, and its author then knows; Mangrove is done at the relay’s',
      'disk and delivers to whoever is there. The deltas travel once more than 2PC without a server has them travel, to the relay, which keeps them: that copy counts as overhead here, and of 16 writes at once it is',
      'more than half of it. That everybody has it is learnt from head statements, which are the rows to hold against 2PC where that knowledge is wanted. Its author is told soon; all others at rest, which costs',
      'the square of the replicas, once in so long: the rows say for how many writes. Nothing is counted before what coming together has brought about was told.',
    ].join('\n'),
    ...batches.map((batch) => {
      const own = rows.filter((row) => row.batch === batch);
      const others = own.filter(({ system }) => system.startsWith('2PC'));
      const against = (row) => (read) =>
        row.system.startsWith('2PC') ? '' : others.map((other) => percentLess(read(row), read(other))).join(', ');
      return `### ${batch === 1 ? 'One write at a time' : `${batch} writes at once`}\n\n${table(
        [
          'per write'.replace('write', batch === 1 ? 'write' : 'batch'),
          'messages',
          'bytes',
          'overhead, messages',
          'overhead, bytes',
          'overhead messages against the 2PC rows in order',
          'overhead bytes',
        ],
        own.map((row) => [
          `${row.system}: ${row.about}`,
          row.messages.toFixed(1),
          bytes(row.bytes),
          row.overheadMessages.toFixed(1),
          bytes(row.overheadBytes),
          against(row)(({ overheadMessages }) => overheadMessages),
          against(row)(({ overheadBytes }) => overheadBytes),
        ]),
      )}`;
    }),
  ];
}

function percentLess(ours, theirs) {
  const ratio = 1 - ours / theirs;
  if (ratio < -1) return `${(ours / theirs).toFixed(0)}× as much`;
  return ratio >= 0 ? `−${(100 * ratio).toFixed(0)} %` : `+${(-100 * ratio).toFixed(0)} %`;
}

function renderRegions({ replicas, regions, writes, phases, roomBytes }) {
  return [
    `## ${replicas} replicas in ${regions} regions, with rebalancing`,
    [
      `Each region has a relay; relays do not talk to each other yet, so two replicas a region roam between relays every few seconds and carry deltas across as any client would. Three phases with ${writes}`,
      'writes each, anywhere; a phase ends when all roots that are up are equal, and what is then still to be told of heads is counted in the next one. Bytes are all that passed on all links, for each replica. *finding out* is cursors, vectors, diffs,',
      'acknowledgements and framing; *set-up* is admission with certificates, and presence; *heads* are the signed statements of who holds what.',
    ].join('\n'),
    table(
      ['per replica', 'messages', 'all bytes', 'deltas', 'finding out', 'set-up', 'heads'],
      phases.map((phase) => [
        phase.name,
        phase.messagesPerReplica.toFixed(0),
        bytes(phase.bytesPerReplica),
        bytes(phase.deltaBytesPerReplica),
        bytes(phase.syncBytesPerReplica),
        bytes(phase.setUpBytesPerReplica),
        bytes(phase.headBytesPerReplica),
      ]),
    ),
    `The room holds ${bytes(roomBytes)} of deltas at the end.`,
  ];
}

function renderVectors({ keys, rows }) {
  return [
    '## Memory added by version vectors (claim to beat: 12 %)',
    [
      `${count(keys)} records of about 450 bytes, each written six times by replicas drawn at random, the last in one of six cases beside another. *Content* is the deltas that remain (headers, signatures`,
      'and bodies, without contexts). Added: contexts in the deltas; the table that keeps contexts of siblings at hand; the vector. Heads are each replica’s signed statement with a vector of its own, which',
      'grows with the square of the replicas; they are told apart, as they serve knowing who holds what, not telling versions apart. Heap: the same decoded, by difference after a collection, over 40 copies.',
    ].join('\n'),
    table(
      [
        'replicas',
        'content',
        'contexts in deltas',
        'table of contexts',
        'vector',
        '**added on disk**',
        'heads',
        'with heads',
        'heap: content',
        'contexts',
        'vector',
        '**added in heap**',
      ],
      rows.map((row) => {
        const added = row.contextInDeltas + row.contexts + row.vector;
        return [
          count(row.replicas),
          bytes(row.content),
          bytes(row.contextInDeltas),
          bytes(row.contexts),
          bytes(row.vector),
          `**${percent(added / row.content)}**`,
          bytes(row.heads),
          percent((added + row.heads) / row.content),
          bytes(row.heapContent),
          bytes(row.heapContexts),
          bytes(row.heapVector),
          `**${percent((row.heapContexts + row.heapVector) / row.heapContent)}**`,
        ];
      }),
    ),
  ];
}
