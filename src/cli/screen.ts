/** One line that renews itself on a terminal; plain lines elsewhere. */
export class Screen {
  readonly #stream: NodeJS.WriteStream;
  #liveShown = false;

  constructor(stream: NodeJS.WriteStream) {
    this.#stream = stream;
  }

  /** @param short for a terminal that is too narrow for the line */
  live(line: string, short: string): void {
    if (!this.#stream.isTTY) {
      this.#stream.write(`${line}\n`);
      return;
    }
    // A line as wide as the terminal would wrap, and only its last part would be renewed.
    const room = (this.#stream.columns || 80) - 1; // a serial console says 0
    const shown = line.length <= room ? line : short.slice(0, room);
    this.#stream.write(`\r\x1b[K${shown}`);
    this.#liveShown = true;
  }

  print(text: string): void {
    this.#stream.write(this.#liveShown ? `\n${text}` : text);
    this.#liveShown = false;
  }
}
