/** Something that some wait for and another one lets happen, once. */
export class Gate {
  readonly passed: Promise<void>;
  #open: () => void = () => {};

  constructor() {
    this.passed = new Promise((resolve) => {
      this.#open = resolve;
    });
  }

  pass(): void {
    this.#open();
  }
}

/** False where it takes longer than that. */
export async function soon(promise: Promise<boolean>, msMax: number): Promise<boolean> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<boolean>((resolve) => (timer = setTimeout(() => resolve(false), msMax)));
  return await Promise.race([promise, late]).finally(() => clearTimeout(timer));
}
