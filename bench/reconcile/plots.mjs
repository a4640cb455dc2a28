import { renderPlot } from './plot.mjs';

/** The same in every plot; two ways of one peer have one colour and another stroke. */
const COLOURS = {
  'mangrove-cursor': '#0b6e4f',
  mangrove: '#0b6e4f',
  negentropy: '#d1495b',
  evolu: '#2f6db5',
  mst: '#e08e1b',
  'automerge-first': '#7a5195',
  'automerge-resumed': '#7a5195',
  yjs: '#555555',
};

/** @returns {Record<string, string>} SVG by file name */
export function renderPlots({ peers, cells, settings }) {
  const series = (read, isWanted) =>
    peers.map(({ id, name }) => ({
      name,
      colour: COLOURS[id],
      dashed: id === 'mangrove' || id === 'automerge-resumed',
      points: cells
        .filter((cell) => cell.peer === id && cell.bytes !== undefined && isWanted(cell))
        .map(read)
        .filter(([x, y]) => x > 0 && y > 0),
    }));
  const size = settings.sizes.includes(100_000) ? 100_000 : settings.sizes.at(-1);
  const many = settings.differences.at(-1);
  const plots = {};
  for (const scenario of settings.scenarios) {
    const of = (wanted) => (cell) => cell.scenario === scenario && wanted(cell);
    plots[`bytes-by-differences-${scenario}`] = renderPlot({
      title: `${scenario}: bytes, ${size.toLocaleString('en')} items`,
      x: 'differences on each side',
      y: 'bytes both ways',
      series: series(
        ({ d, bytes }) => [d, bytes],
        of(({ n }) => n === size),
      ),
    });
    plots[`bytes-by-size-${scenario}`] = renderPlot({
      title: `${scenario}: bytes, ${many.toLocaleString('en')} differences on each side`,
      x: 'items both sides hold',
      y: 'bytes both ways',
      series: series(
        ({ n, bytes }) => [n, bytes],
        of(({ d }) => d === many),
      ),
    });
    plots[`cpu-by-size-${scenario}`] = renderPlot({
      title: `${scenario}: CPU, ${many.toLocaleString('en')} differences on each side`,
      x: 'items both sides hold',
      y: 'ms of both sides',
      series: series(
        ({ n, cpuMs }) => [n, cpuMs],
        of(({ d }) => d === many),
      ),
    });
  }
  return plots;
}
