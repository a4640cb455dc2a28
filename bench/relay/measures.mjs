/** One line of the tables each: where its figure stands, how it is shown, and what Mangrove has set itself. */
const at =
  (load, ...path) =>
  (figures) =>
    path.reduce((value, name) => value?.[name], figures[load])?.median;
const thousands = (value) => Math.round(value).toLocaleString('en');
const places = (count) => (value) => value.toFixed(count);

export const measures = [
  {
    id: 'rooms',
    title: 'saturated, 10 rooms of 10: deliveries a second',
    read: at('rooms', 'deliveriesPerSecond'),
    show: thousands,
    isMoreBetter: true,
    goal: { of: 'bare-ws', node: 1, workerd: 0.3 },
  },
  {
    id: 'rooms-cpu',
    title: '… CPU seconds a million deliveries',
    read: at('rooms', 'cpuPerMillion'),
    show: places(2),
    goal: { of: 'bare-ws', node: 1, workerd: 4 },
  },
  {
    id: 'crowd',
    title: 'saturated, one room of 100: deliveries a second',
    read: at('crowd', 'deliveriesPerSecond'),
    show: thousands,
    isMoreBetter: true,
    goal: { of: 'bare-ws', node: 3 },
  },
  {
    id: 'crowd-cpu',
    title: '… CPU seconds a million deliveries',
    read: at('crowd', 'cpuPerMillion'),
    show: places(2),
    goal: { of: 'bare-ws', node: 1, workerd: 4 },
  },
  {
    id: 'paced-p50',
    title: '500 deltas a second: fan-out, p50, ms',
    read: at('paced', 'p50'),
    show: places(2),
    goal: { node: 0.22 },
  },
  { id: 'paced-p99', title: '… p99, ms', read: at('paced', 'p99'), show: places(2), goal: { node: 0.9 } },
  {
    id: 'idle-1000',
    title: 'KiB an idle connection, of 1,000',
    read: at('idle', 'kiBPerConnection', '1000'),
    show: places(1),
  },
  {
    id: 'idle-5000',
    title: '… of 5,000',
    read: at('idle', 'kiBPerConnection', '5000'),
    show: places(1),
    goal: { node: 12 },
  },
  {
    id: 'intake',
    title: 'taking in 100,000 deltas, one a message: CPU s',
    read: at('intake', 'cpuSeconds'),
    show: places(2),
    goal: { node: 1 },
  },
  {
    id: 'intake-batched',
    title: '… 500 a message: CPU s',
    read: at('intakeBatched', 'cpuSeconds'),
    show: places(2),
    goal: { node: 1 },
  },
  {
    id: 'late',
    title: 'late joiner: connect → text, ms',
    read: at('intake', 'lateMs'),
    show: places(0),
  },
  {
    id: 'late-checkpoint',
    title: '… by checkpoint, ms',
    read: at('intake', 'lateAfterCheckpointMs'),
    show: places(0),
    goal: { node: 25 },
  },
  {
    id: 'late-cpu',
    title: '… CPU s of the server a joiner',
    read: at('intake', 'lateCpuSeconds'),
    show: places(3),
  },
  { id: 'rss', title: 'RSS with that room, MiB', read: at('intake', 'rssMiB'), show: places(0), goal: { node: 120 } },
];
