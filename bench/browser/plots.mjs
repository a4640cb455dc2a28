import { renderBars } from '../support/bars.mjs';
import { documentMeasures, FLOORS, recordMeasures } from './measures.mjs';

const OURS = '#0b6e4f';
const FLOOR = '#b8b8b8';
const PEER = '#2f6db5';
const PLOTTED = new Set(['edit-task', 'burst', 'disk', 'cold', 'stored', 'one-by-one', 'at-once', 'get']);

/** @returns {Record<string, string>} SVG by file name */
export function renderPlots({ documents = [], records = [] }) {
  return Object.fromEntries([...plotsOf(documents, documentMeasures), ...plotsOf(records, recordMeasures)]);
}

function plotsOf(contestants, measures) {
  return measures
    .filter(({ id }) => PLOTTED.has(id))
    .map(({ id, what, unit, show, isMoreBetter, read }) => {
      const bars = contestants.flatMap((contestant) => {
        const figure = read(contestant);
        if (figure === undefined) return [];
        const shown = unit === 'ms' ? `${show(figure.median)} ms` : show(figure.median);
        return [{ name: contestant.name, value: figure.median, shown, colour: colourOf(contestant) }];
      });
      const note = `${isMoreBetter ? 'more' : 'less'} is better; grey: floors`;
      return [id, renderBars({ title: what, note, bars })];
    });
}

function colourOf({ id }) {
  if (id === 'mangrove') return OURS;
  return FLOORS.has(id) ? FLOOR : PEER;
}
