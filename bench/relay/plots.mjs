import { renderBars } from '../support/bars.mjs';
import { measures } from './measures.mjs';

const COLOURS = { mangrove: '#0b6e4f', 'mangrove-workerd': '#0b6e4f', 'bare-ws': '#555555', 'bare-workerd': '#555555' };
const PEER = '#2f6db5';
const PLOTTED = ['rooms', 'crowd', 'rooms-cpu', 'idle-5000'];

/** @returns {Record<string, string>} SVG by file name */
export function renderPlots({ contestants, machine, date }) {
  const plots = measures.filter(({ id }) => PLOTTED.includes(id));
  return Object.fromEntries(
    plots.map(({ id, title, read, show, isMoreBetter }) => {
      const bars = contestants.flatMap(({ id: of, name, figures }) => {
        const value = read(figures);
        return value === undefined ? [] : [{ name, value, shown: show(value), colour: COLOURS[of] ?? PEER }];
      });
      const note = `${isMoreBetter ? 'more' : 'less'} is better; ${date}, ${machine.cores} cores, Node ${machine.node}`;
      return [
        id,
        renderBars({
          title: id === 'idle-5000' ? 'KiB an idle connection, of 5,000' : title.replace(/^… /, '10 rooms of 10: '),
          note,
          bars,
        }),
      ];
    }),
  );
}
