/** One connection, from `opened` to its end. */
export class Session {
  readonly ended: Promise<undefined>;
  end = (): void => {};

  constructor() {
    this.ended = new Promise((resolve) => {
      this.end = () => resolve(undefined);
    });
  }
}
