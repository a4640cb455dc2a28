export interface ServeOptions {
  readonly port: number;
  readonly host?: string;
  readonly dataDir?: string;
  /** False: no embedded relay. */
  readonly relay?: boolean;
}

export function serve(options: ServeOptions): Promise<{ readonly url: string; close(): Promise<void> }>;
