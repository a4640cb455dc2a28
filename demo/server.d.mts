export interface ServeOptions {
  readonly port: number;
  readonly host?: string;
  readonly dataDir?: string;
  /** False: no embedded relay. */
  readonly relay?: boolean;
  /** Another build than that of dist/. */
  readonly dist?: string;
}

export function serve(options: ServeOptions): Promise<{ readonly url: string; close(): Promise<void> }>;
