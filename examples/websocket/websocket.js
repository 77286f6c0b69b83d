// The part of RFC 6455 that an echo needs: one frame a message, text or binary, ping, close. A larger function takes the `ws` package:
// `new WebSocketServer({ noServer: true }).handleUpgrade(req, socket, head, …)`.
const { createHash } = require('node:crypto');

const GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';
const TEXT = 1;
const CLOSE = 8;
const PING = 9;
const PONG = 10;
const MAX_MESSAGE = 1024 * 1024;

/** Calls `onMessage(content, send)` with a string or a Buffer for every message. */
exports.acceptWebSocket = (req, socket, head, onMessage) => {
  const accept = createHash('sha1')
    .update(req.headers['sec-websocket-key'] + GUID)
    .digest('base64');
  socket.write(`HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`);
  let received = head;
  const answer = (frame) => {
    if (frame.opcode === CLOSE) return socket.end(encode(CLOSE, frame.payload));
    if (frame.opcode === PING) return socket.write(encode(PONG, frame.payload));
    if (frame.opcode === PONG) return;
    const content = frame.opcode === TEXT ? frame.payload.toString() : frame.payload;
    onMessage(content, (message) => socket.write(encode(typeof message === 'string' ? TEXT : 2, Buffer.from(message))));
  };
  const take = (chunk) => {
    received = Buffer.concat([received, chunk]);
    for (let frame = decode(received); frame !== undefined; frame = decode(received)) {
      if (frame.tooLarge) return socket.destroy();
      received = received.subarray(frame.size);
      answer(frame);
    }
  };
  socket.on('data', take);
  take(Buffer.alloc(0));
};

/** The first whole frame, or undefined while some of it is missing. A client's frames are always masked. */
function decode(data) {
  if (data.length < 2) return undefined;
  const short = data[1] & 0x7f;
  const maskAt = short === 127 ? 10 : short === 126 ? 4 : 2;
  if (data.length < maskAt + 4) return undefined;
  const length = short === 127 ? Number(data.readBigUInt64BE(2)) : short === 126 ? data.readUInt16BE(2) : short;
  if (length > MAX_MESSAGE) return { tooLarge: true };
  const size = maskAt + 4 + length;
  if (data.length < size) return undefined;
  const payload = Buffer.from(data.subarray(maskAt + 4, size));
  for (let i = 0; i < payload.length; i += 1) payload[i] ^= data[maskAt + (i % 4)];
  return { opcode: data[0] & 0x0f, payload, size };
}

function encode(opcode, payload) {
  const long = payload.length > 65_535;
  const head = Buffer.alloc(payload.length < 126 ? 2 : long ? 10 : 4);
  head[0] = 0x80 | opcode;
  head[1] = payload.length < 126 ? payload.length : long ? 127 : 126;
  if (long) head.writeBigUInt64BE(BigInt(payload.length), 2);
  else if (payload.length >= 126) head.writeUInt16BE(payload.length, 2);
  return Buffer.concat([head, payload]);
}
