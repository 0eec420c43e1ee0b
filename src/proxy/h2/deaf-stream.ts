import type { H2StreamHandler } from '../../http/h2/engine.js'

/** For a stream that nobody uses any more, which ends when its peer has ended it too. */
export const DEAF: H2StreamHandler = {
  onFields() {},
  onFieldsTooLarge() {},
  onData: (stream, _buffer, start, end) => stream.consume(end - start),
  onEnd() {},
  onWritable() {},
  onReset() {},
}
