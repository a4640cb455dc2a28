/** Small SVG bar plots, without a library: a bar a contestant, from zero. */
const WIDTH = 560;
const NAME_WIDTH = 170;
const VALUE_WIDTH = 90;
const ROW = 26;
const TOP = 44;

/**
 * @param {{ title: string, note: string, bars: { name: string, value: number, shown: string, colour: string }[] }} plot values from 0
 */
export function renderBars({ title, note, bars }) {
  const height = TOP + ROW * bars.length + 10;
  const longest = Math.max(...bars.map(({ value }) => value), Number.MIN_VALUE);
  const span = WIDTH - NAME_WIDTH - VALUE_WIDTH;
  return `${[
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" font-family="sans-serif" font-size="12">`,
    `<rect width="${WIDTH}" height="${height}" fill="#ffffff"/>`,
    text(10, 18, title, 'font-size="14" font-weight="bold"'),
    text(10, 34, note, 'fill="#666666"'),
    ...bars.flatMap(({ name, value, shown, colour }, i) => {
      const y = TOP + ROW * i;
      const width = Math.max(1, (value / longest) * span).toFixed(1);
      return [
        text(NAME_WIDTH - 8, y + 16, name, 'text-anchor="end"'),
        `<rect x="${NAME_WIDTH}" y="${y + 3}" width="${width}" height="${ROW - 8}" fill="${colour}"/>`,
        text(NAME_WIDTH + Number(width) + 6, y + 16, shown),
      ];
    }),
    '</svg>',
  ].join('\n')}\n`;
}

function text(x, y, content, attributes = '') {
  const escaped = content.replace(/&/g, '&amp;').replace(/</g, '&lt;');
  return `<text x="${x}" y="${y}" ${attributes}>${escaped}</text>`;
}
