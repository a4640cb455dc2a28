export function formatCount(count: number, noun: string): string {
  return `${count.toLocaleString('en')} ${noun}${count === 1 ? '' : 's'}`;
}

export function formatAge(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1_000));
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3_600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3_600)} h`;
  return formatCount(Math.floor(seconds / 86_400), 'day');
}

export function formatBytes(bytes: number): string {
  if (bytes < 1_024) return `${bytes} B`;
  if (bytes < 1_048_576) return `${(bytes / 1_024).toFixed(1)} KiB`;
  return `${(bytes / 1_048_576).toFixed(1)} MiB`;
}

export function formatRoot(root: string): string {
  return `${root.slice(0, 4)}…`;
}

/** The hour today, the day before that. */
export function formatTime(ms: number, nowMs = Date.now()): string {
  const at = new Date(ms);
  return at.toDateString() === new Date(nowMs).toDateString() ? at.toLocaleTimeString() : at.toLocaleDateString();
}

/** What went wrong, and what to do about it. */
export function describeError(reason: unknown): string {
  if (!(reason instanceof Error)) return String(reason);
  const remedy = 'remedy' in reason ? String(reason.remedy) : '';
  return `${reason.message} ${remedy}`.trim();
}
