/** Small SVG line plots on logarithmic axes, without a library. */
const WIDTH = 760;
const HEIGHT = 420;
const MARGIN = { left: 70, right: 225, top: 40, bottom: 50 };

/**
 * @param {{ title: string, x: string, y: string, series: { name: string, colour: string, dashed?: boolean, points: [number, number][] }[] }} plot
 * points are positive; a series without points is left out.
 */
export function renderPlot({ title, x, y, series }) {
  const drawn = series.filter(({ points }) => points.length > 0);
  const all = drawn.flatMap(({ points }) => points);
  const scaleX = scale(
    all.map(([value]) => value),
    MARGIN.left,
    WIDTH - MARGIN.right,
  );
  const scaleY = scale(
    all.map(([, value]) => value),
    HEIGHT - MARGIN.bottom,
    MARGIN.top,
  );
  return `${[
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" font-family="sans-serif" font-size="12">`,
    `<rect width="${WIDTH}" height="${HEIGHT}" fill="#ffffff"/>`,
    text(MARGIN.left, 22, title, 'font-size="14" font-weight="bold"'),
    ...decades(scaleX).map((value) => tickX(scaleX(value), value)),
    ...decades(scaleY).map((value) => tickY(scaleY(value), value)),
    text((MARGIN.left + WIDTH - MARGIN.right) / 2, HEIGHT - 12, x, 'text-anchor="middle"'),
    `<g transform="translate(16 ${HEIGHT / 2}) rotate(-90)">${text(0, 0, y, 'text-anchor="middle"')}</g>`,
    ...drawn.map((one) => line(one, scaleX, scaleY)),
    ...drawn.map((one, i) => legend(one, i)),
    '</svg>',
  ].join('\n')}\n`;
}

function scale(values, from, to) {
  const low = Math.floor(Math.log10(Math.min(...values)));
  const high = Math.max(low + 1, Math.ceil(Math.log10(Math.max(...values))));
  const at = (value) => from + ((Math.log10(value) - low) / (high - low)) * (to - from);
  return Object.assign(at, { low, high });
}

function decades({ low, high }) {
  return Array.from({ length: high - low + 1 }, (_, i) => 10 ** (low + i));
}

function tickX(at, value) {
  const line = `<line x1="${at}" x2="${at}" y1="${MARGIN.top}" y2="${HEIGHT - MARGIN.bottom}" stroke="#e0e0e0"/>`;
  return line + text(at, HEIGHT - MARGIN.bottom + 16, short(value), 'text-anchor="middle"');
}

function tickY(at, value) {
  const line = `<line x1="${MARGIN.left}" x2="${WIDTH - MARGIN.right}" y1="${at}" y2="${at}" stroke="#e0e0e0"/>`;
  return line + text(MARGIN.left - 8, at + 4, short(value), 'text-anchor="end"');
}

function line({ points, colour, dashed }, scaleX, scaleY) {
  const at = points.map(([x, y]) => [scaleX(x).toFixed(1), scaleY(y).toFixed(1)]);
  const dash = dashed ? ' stroke-dasharray="5 4"' : '';
  const path = `<polyline fill="none" stroke="${colour}" stroke-width="2"${dash} points="${at.map((point) => point.join(',')).join(' ')}"/>`;
  return path + at.map(([x, y]) => `<circle cx="${x}" cy="${y}" r="3" fill="${colour}"/>`).join('');
}

function legend({ name, colour, dashed }, i) {
  const x = WIDTH - MARGIN.right + 14;
  const y = MARGIN.top + 12 + 20 * i;
  const dash = dashed ? ' stroke-dasharray="5 4"' : '';
  const sample = `<line x1="${x}" x2="${x + 22}" y1="${y - 4}" y2="${y - 4}" stroke="${colour}" stroke-width="2"${dash}/>`;
  return sample + text(x + 28, y, name);
}

function text(x, y, content, attributes = '') {
  const escaped = content.replace(/&/g, '&amp;').replace(/</g, '&lt;');
  return `<text x="${x}" y="${y}" ${attributes}>${escaped}</text>`;
}

function short(value) {
  if (value >= 1_000_000) return `${value / 1_000_000}M`;
  return value >= 1_000 ? `${value / 1_000}k` : String(value);
}
