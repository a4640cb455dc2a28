export type BrowserName = 'chromium' | 'firefox' | 'webkit';

export const PYTHON: string;
export function findBrowser(name: BrowserName): string | undefined;
export function requireBrowser(name: BrowserName): string;
export function ensureBrowser(name: BrowserName): Promise<string>;
