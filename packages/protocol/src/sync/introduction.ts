import { successor } from '../bytes.js';
import { bytesToCertificate } from '../certificate.js';
import { bytesToHeadStatement } from '../head-statement.js';
import type { Steps, Transaction } from '../store/plan.js';
import type { IntroductionPlace, RelayEvent } from './event.js';

/** Certificates of one page: about as much as one chunk of deltas. */
const CERTIFICATES_PAGE = 1_024;
/** Head statements of one page: a large one names thousands of replicas. */
const HEADS_PAGE = 64;

export const INTRODUCTION_BEGINS: IntroductionPlace = { of: 'certificates', after: new Uint8Array() };
const HEADS_BEGIN: IntroductionPlace = { of: 'heads', after: new Uint8Array() };

/**
 * A page of what a newcomer is told of the replicas of a room before any delta: all certificates, then all head statements. What is added while it
 * is read is told to everybody who is connected.
 */
export function* readIntroduction(
  tx: Transaction,
  { of, after }: IntroductionPlace,
): Steps<RelayEvent & { kind: 'introduction-read' }> {
  const limit = of === 'certificates' ? CERTIFICATES_PAGE : HEADS_PAGE;
  const rows = yield* tx.rows(of, { from: after, limit });
  const last = rows.length === limit ? rows.at(-1)?.[0] : undefined;
  const ended = of === 'certificates' ? HEADS_BEGIN : undefined;
  return {
    kind: 'introduction-read',
    certificates: of === 'certificates' ? rows.map(([, row]) => bytesToCertificate(row)) : [],
    heads: of === 'heads' ? rows.map(([, row]) => bytesToHeadStatement(row)) : [],
    next: last === undefined ? ended : { of, after: successor(last) },
  };
}
