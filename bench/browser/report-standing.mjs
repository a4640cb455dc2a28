import { DOCUMENT_FLOOR, documentMeasures, FLOORS, RECORD_FLOOR, recordMeasures } from './measures.mjs';
import { table } from '../support/table.mjs';

/** First where peers are ahead, then how far the goals are met. */
export function renderStanding(results) {
  const parts = [
    { contestants: results.documents ?? [], measures: documentMeasures, floorId: DOCUMENT_FLOOR },
    { contestants: results.records ?? [], measures: recordMeasures, floorId: RECORD_FLOOR },
  ];
  const ahead = parts.flatMap(renderAhead);
  const goals = [...parts.flatMap(goalRows), ...renderAtOnceGoal(results)];
  const failures = parts.flatMap(({ contestants }) => contestants.filter(({ failed }) => failed !== undefined));
  return [
    ...(failures.length === 0
      ? []
      : [failures.map(({ name, failed }) => `**${name} failed in this run: ${failed}.**`).join('\n')]),
    '## Where others are ahead',
    ahead.length === 0 ? 'In no measure of this run.' : ahead.join('\n'),
    ...(goals.length === 0 ? [] : ['## Goals', table(['', 'goal', 'here', ''], goals)]),
  ];
}

function renderAhead({ contestants, measures }) {
  const ours = contestants.find(({ id }) => id === 'mangrove');
  if (ours === undefined) return [];
  const peers = contestants.filter(({ id }) => id !== 'mangrove' && !FLOORS.has(id));
  return measures.flatMap(({ what, show, unit, read, isMoreBetter = false }) => {
    const own = read(ours)?.median;
    const suffix = unit === 'ms' ? ' ms' : '';
    const better = peers
      .flatMap((peer) => {
        const figure = read(peer)?.median;
        const isAhead = figure !== undefined && (own === undefined || (isMoreBetter ? figure > own : figure < own));
        return isAhead ? [{ peer, figure }] : [];
      })
      .sort((a, b) => (isMoreBetter ? b.figure - a.figure : a.figure - b.figure));
    if (better.length === 0) return [];
    const told = better.map(({ peer, figure }) => `${peer.name} ${show(figure)}${suffix}`).join(', ');
    return [`- **${what}**: ${told}; Mangrove ${own === undefined ? 'has none' : `${show(own)}${suffix}`}.`];
  });
}

function goalRows({ contestants, measures, floorId }) {
  const ours = contestants.find(({ id }) => id === 'mangrove');
  const floor = contestants.find(({ id }) => id === floorId);
  if (ours === undefined) return [];
  return measures.flatMap(({ what, show, unit, read, goal, goalAbsolute }) => {
    const own = read(ours)?.median;
    const base = floor && read(floor)?.median;
    if (own === undefined) return [];
    if (goalAbsolute !== undefined) {
      return [[what, `≤ ${goalAbsolute} ${unit}`, `${show(own)} ${unit}`, own <= goalAbsolute ? '' : '**missed**']];
    }
    if (goal === undefined || base === undefined) return [];
    const ratio = own / base;
    return [[what, `≤ ${goal}× ${floor.name}`, `${ratio.toFixed(2)}×`, ratio <= goal ? '' : '**missed**']];
  });
}

/** The one goal across two measures: calls of one record each against a batch of the floor's. */
function renderAtOnceGoal({ records = [] }) {
  const own = records.find(({ id }) => id === 'mangrove')?.atOncePerSecond?.median;
  const base = records.find(({ id }) => id === 'raw-relaxed')?.bulkPerSecond?.median;
  if (own === undefined || base === undefined) return [];
  const ratio = own / base;
  return [
    [
      'at once, a call each',
      '≥ 0.5× raw IndexedDB in one call',
      `${ratio.toFixed(2)}×`,
      ratio >= 0.5 ? '' : '**missed**',
    ],
  ];
}
