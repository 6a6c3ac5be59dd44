// What a load saw in the measured window: replies, latencies, errors. Errors count from the first frame to the last, window or not.

const MAX_SAMPLES = 8_000_000;

export class Recorder {
  messages = 0;
  errors = 0;
  firstError = null;
  measuring = false;
  #samples = new Float32Array(MAX_SAMPLES);
  #count = 0;
  #beganAt = 0;

  begin() {
    this.messages = 0;
    this.#count = 0;
    this.#beganAt = performance.now();
    this.measuring = true;
  }

  /** Latency in milliseconds. */
  sample(latencyMs) {
    if (this.measuring && this.#count < MAX_SAMPLES) this.#samples[this.#count++] = latencyMs;
  }

  error(reason) {
    this.errors++;
    this.firstError ??= String(reason);
  }

  end() {
    this.measuring = false;
    const seconds = (performance.now() - this.#beganAt) / 1000;
    const sorted = this.#samples.subarray(0, this.#count).sort();
    const at = (quantile) => (sorted.length === 0 ? 0 : sorted[Math.floor((sorted.length - 1) * quantile)]);
    return { messages: this.messages, seconds, p50Ms: at(0.5), p99Ms: at(0.99) };
  }
}
