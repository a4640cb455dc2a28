import { treeInWords } from '../support/machine.mjs';
import { table } from '../support/table.mjs';
import { measures } from './measures.mjs';

const OURS = ['mangrove', 'mangrove-workerd'];
/** Of times and CPU on a machine that does other things: what differs less is not told as a win. */
const NOISE = 1.1;

/** The Markdown of one run. Everything in it comes from the results, so that a run again redraws all of it. */
export function renderReport(results) {
  return `${[
    '# Relay: one server, many connections',
    renderSetting(results),
    renderTable(results),
    ...renderGoals(results),
    ...renderLosses(results),
    renderMethod(results),
    ...renderSpreads(results),
    renderPlotLinks(),
  ].join('\n\n')}\n`;
}

function renderSetting({ date, tree, machine, machineLoad, contestants, missing }) {
  const versions = new Map(contestants.flatMap(({ versions }) => Object.entries(versions)));
  return [
    `${date}; ${treeInWords(tree)}. ${machine.cores} cores, ${machine.memoryGiB} GiB, ${machine.platform}, data on ${machine.fileSystem}, Node ${machine.node}. Load of one minute after each measurement: ${machineLoad.min} to ${machineLoad.max}.`,
    ...(machineLoad.max > 2 * machine.cores
      ? [
          '**The machine was busy with other work: rates and times are what was left of it. Compare columns, take no absolute figure; CPU seconds mind least.**',
        ]
      : []),
    `Versions: ${[...versions].map(([name, version]) => `${name} ${version}`).join(', ')}.`,
    ...(missing.length === 0
      ? []
      : [
          `**Not measured**: ${missing.map(({ contestant, load, rounds, wanted }) => `${contestant} ${load} (${rounds} of ${wanted})`).join(', ')}.`,
        ]),
  ].join('\n');
}

function renderTable({ contestants }) {
  const rows = measures.map((measure) => [
    measure.title,
    ...contestants.map((each) => cell(measure, each, contestants)),
  ]);
  return table(['', ...contestants.map(({ name }) => name)], rows);
}

function cell({ read, show, goal }, { id, figures }, contestants) {
  const value = read(figures);
  if (value === undefined) return '–';
  const floor = goal?.of === undefined ? undefined : read(figuresOf(contestants, goal.of));
  return floor === undefined || id === goal.of ? show(value) : `${show(value)} (${(value / floor).toFixed(2)}×)`;
}

function renderGoals({ contestants }) {
  const rows = measures.flatMap((measure) =>
    OURS.flatMap((id) => {
      const wanted = measure.goal?.[id === 'mangrove' ? 'node' : 'workerd'];
      const value = measure.read(figuresOf(contestants, id));
      const floor = measure.goal?.of === undefined ? 1 : measure.read(figuresOf(contestants, measure.goal.of));
      if (wanted === undefined || value === undefined || floor === undefined) return [];
      const ratio = value / floor;
      const isMet = measure.isMoreBetter ? ratio >= wanted : ratio <= wanted;
      const unit = measure.goal.of === undefined ? '' : '× the floor';
      const sign = measure.isMoreBetter ? '≥' : '≤';
      return [
        [
          `${nameOf(contestants, id)}, ${measure.title}`,
          `${sign} ${wanted}${unit}`,
          `${ratio.toFixed(2)}${unit}${isMet ? '' : ' **missed**'}`,
        ],
      ];
    }),
  );
  return rows.length === 0 ? [] : ['## Goals', table(['', 'goal', 'here'], rows)];
}

function renderLosses({ contestants }) {
  const lines = OURS.flatMap((id) => {
    const own = contestants.find((each) => each.id === id);
    if (own === undefined) return [];
    return contestants
      .filter((other) => !OURS.includes(other.id) && Boolean(other.isWorkerd) === Boolean(own.isWorkerd))
      .flatMap((other) => {
        const ahead = measures.flatMap(({ title, read, show, isMoreBetter }) => {
          const [ours, theirs] = [read(own.figures), read(other.figures)];
          if (ours === undefined || theirs === undefined) return [];
          const factor = isMoreBetter ? theirs / ours : ours / theirs;
          return factor > NOISE ? [`${title.replace(/^… /, '')} (${show(theirs)} against ${show(ours)})`] : [];
        });
        return ahead.length === 0 ? [] : [`- **${other.name}** against ${own.name}: ${ahead.join('; ')}.`];
      });
  });
  return ['## Where others are ahead', lines.length === 0 ? 'Nowhere in this run.' : lines.join('\n')];
}

function renderMethod({ contestants, settings }) {
  const { window, warmUpMs, rooms, crowd, paced, idle, intake, rounds, roundsOf } = settings;
  return [
    '## Method',
    [
      'Each cell is a server of its own, new, in its own process, and all clients in one other process; the contestants take turns within a round and the order turns from round to round. A cell is the median of',
      `${rounds} rounds; of ${Object.keys(roundsOf).join(', ')} there is ${Object.values(roundsOf)[0]}. Server, clients and whatever else the machine does share its cores.`,
    ].join(' '),
    [
      '- **Clients** speak each protocol over TCP by themselves: all they will say is made, signed and framed before the clock runs, and what comes is cut into WebSocket frames and counted. They verify and decode nothing, whoever’s they are. Their frames are masked with zeros.',
      '- **A delta** is a Yjs update of about 55 bytes: 30 characters typed where the cursor stands, which goes elsewhere in what its writer wrote once in twenty. In Mangrove it is in a delta, signed, told as the shipped client tells it, one delta a message. All write into one document a room.',
      `- **Saturated**: each client keeps up to ${window} messages under way (said, and not yet heard by all), for ${rooms.ms / 1000} s after ${warmUpMs / 1000} s of warm-up; ${rooms.rooms} rooms of ${rooms.clients}, and ${crowd.rooms} of ${crowd.clients}. A delivery is a delta that has come to one who did not write it; what a server sends back to its writer is not counted. Hocuspocus merges updates of one turn of its event loop: they are counted by a mark in the text.`,
      `- **Fan-out**: ${paced.perSecond} deltas a second over ${paced.rooms} rooms of ${paced.clients}, ${paced.ms / 1000} s: from a write until each other client has it, in the clock of the clients’ process.`,
      `- **Idle**: resident memory with ${idle.steps.map((each) => each.toLocaleString('en')).join(' and ')} connections in rooms of ${idle.clients} that have done their handshake and say nothing, less that without any, over their number; the garbage of servers on Node is collected before, that of workerd cannot be. Nothing hibernates within that time.`,
      `- **Taking in**: one client writes ${intake.deltas.toLocaleString('en')} deltas and one reads; one a message with ${intake.window} under way, and ${intake.perMessage} a message, where Yjs peers get one merged update of as many. Then ${intake.joins} others join one after the other and read until the text is whole in a Y.Doc; the median. Mangrove’s late joiner checks ids and the hashes of parts, but no signatures, which the shipped client does: 170 µs a delta, and once where there is a checkpoint. RSS is after these.`,
      '- **CPU**: user and system time of all threads of the server’s process from /proc, of workerd for workers; in hundredths of a second.',
    ].join('\n'),
    contestants.map(({ name, keeps }) => `- **${name}** keeps ${keeps}.`).join('\n'),
    'The relay’s rates are off, as no other has any and its clients here are no people; all else is as shipped. Servers of peers are as they come, without an extension that stores.',
  ].join('\n\n');
}

/** How far the rounds were apart, of what has several. */
function renderSpreads({ contestants, settings }) {
  if (settings.rounds === 1) return [];
  const load = { rooms: 'rooms', crowd: 'crowd' };
  const rows = Object.keys(load).map((name) => [
    `${name}: deliveries a second`,
    ...contestants.map(({ figures }) => {
      const over = figures[name]?.deliveriesPerSecond;
      return over === undefined ? '–' : `${Math.round(over.min / 1000)}k to ${Math.round(over.max / 1000)}k`;
    }),
  ]);
  return ['## Lowest and highest round', table(['', ...contestants.map(({ name }) => name)], rows)];
}

function renderPlotLinks() {
  return ['rooms', 'crowd', 'rooms-cpu', 'idle-5000'].map((plot) => `![${plot}](${plot}.svg)`).join('\n');
}

function figuresOf(contestants, id) {
  return contestants.find((each) => each.id === id)?.figures ?? {};
}

function nameOf(contestants, id) {
  return contestants.find((each) => each.id === id).name;
}
