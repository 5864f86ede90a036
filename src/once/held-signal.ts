/** A signal that comes later while a program runs: what it ends, the session and with it the lock, has to outlive the program. */
export class HeldSignal {
  readonly #controller = new AbortController();
  #holds = false;

  constructor(private readonly origin: AbortSignal) {
    if (origin.aborted) this.#pass();
    else origin.addEventListener('abort', () => this.#pass(), { once: true });
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  async during<T>(work: () => Promise<T>): Promise<T> {
    this.#holds = true;
    const result = await work();
    this.#holds = false;
    this.#pass();
    return result;
  }

  #pass(): void {
    if (this.origin.aborted && !this.#holds) this.#controller.abort(this.origin.reason);
  }
}
